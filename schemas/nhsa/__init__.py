"""The transactions of the national medical insurance platform (医疗保障信息平台定点医药机构接口) as data."""
