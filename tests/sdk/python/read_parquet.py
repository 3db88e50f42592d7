"""Reads a data folder as any Parquet reader does and prints what it holds, as JSON."""

import json
import sys

import duckdb

folder, attribute = sys.argv[1:]


def ask(question):
    return duckdb.sql(question).fetchall()


answer = {}
for signal, time in (("logs", "timestamp"), ("spans", "start")):
    files = f"read_parquet('{folder}/**/{signal}/**/*.parquet', union_by_name=true)"
    count, first, last = ask(f"SELECT count(*), epoch_ns(min({time})), epoch_ns(max({time})) FROM {files}")[0]
    services = dict(ask(f"SELECT service_name, count(*) FROM {files} GROUP BY 1"))
    values = dict(ask(f"SELECT attributes['{attribute}'], count(*) FROM {files} WHERE attributes['{attribute}'] IS NOT NULL GROUP BY 1"))
    answer[signal] = {"count": count, "first": first, "last": last, "services": services, "values": values}
print(json.dumps(answer))
