"""`jingluo insurance`: the medical insurance platform (医保) on a terminal. Each part has a file of its own."""

from __future__ import annotations

import typer

from router.commands import insurance_records, insurance_tables, insurance_transfer
from router.commands.insurance_clearing import clearing, cross_region
from router.commands.insurance_files import catalogue
from router.commands.insurance_mapping import mapping
from router.commands.insurance_registers import dictionaries
from router.commands.insurance_statement import statement
from router.commands.insurance_uploads import uploads

app = typer.Typer(help="The medical insurance platform. 医保平台", no_args_is_help=True)
app.command("list")(insurance_tables.listed)
app.command()(insurance_tables.show)
app.command()(insurance_tables.check)
app.command()(insurance_tables.codes)
app.add_typer(catalogue, name="catalogue")
app.add_typer(dictionaries, name="dictionaries")
app.add_typer(mapping, name="mapping")
app.command()(insurance_transfer.upload)
app.command()(insurance_transfer.download)
app.command()(uploads)
app.add_typer(statement, name="statement")
app.command()(insurance_records.exchanges)
app.command("show-exchange")(insurance_records.show_exchange)
app.command()(insurance_records.probe)
app.command()(insurance_records.reverse)
app.command("sign-in")(insurance_records.sign_in)
app.command("sign-out")(insurance_records.sign_out)
app.command()(clearing)
app.command("cross-region")(cross_region)
