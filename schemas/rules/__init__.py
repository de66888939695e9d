"""Rules of a site as tables: what the fund pays of a consultation fee (诊查费统筹)."""
