"""Reads a data folder as any Parquet reader does and prints what it holds, as JSON."""

import json
import sys

import duckdb

folder, attribute = sys.argv[1:]
files = f"read_parquet('{folder}/**/*.parquet', union_by_name=true)"


def ask(what, where, then=""):
    return duckdb.sql(f'SELECT {what} FROM {files} WHERE {where} {then}').fetchall()


answer = {}
# Each signal is known by the column of its time.
for signal, time in (("logs", '"timestamp"'), ("spans", '"start"')):
    mine = f"{time} IS NOT NULL"
    count, first, last = ask(f"count(*), epoch_ns(min({time})), epoch_ns(max({time}))", mine)[0]
    services = dict(ask("service_name, count(*)", mine, "GROUP BY 1"))
    value = f"attributes['{attribute}']"
    values = dict(ask(f"{value}, count(*)", f"{mine} AND {value} IS NOT NULL", "GROUP BY 1"))
    answer[signal] = {"count": count, "first": first, "last": last, "services": services, "values": values}
print(json.dumps(answer))
