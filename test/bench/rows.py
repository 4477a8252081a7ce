"""The table of figures: rows with a bar and a verdict, printed as they come and written to build/bench.json."""
import json
import os
import statistics
import time

ROWS = []
GROUP = {"name": None}


def group(name):
    """Rows from here on belong to this group (`make bench ROWS=name`)."""
    GROUP["name"] = name


def row(what, value, unit, most=None, least=None, note=None):
    """One figure. most, least: the bar, in the same unit; without either the figure is only reported. None: not measured."""
    bar = f"<= {most:g}" if most is not None else f">= {least:g}" if least is not None else None
    good = None
    if bar:
        good = value is not None and (value <= most if most is not None else value >= least)
    ROWS.append({"group": GROUP["name"], "date": now(), "what": what, "value": value, "unit": unit, "bar": bar, "good": good,
                 "note": note, "load": round(os.getloadavg()[0], 2)})
    verdict = "" if good is None else "ok" if good else "MISSED"
    shown = "-" if value is None else f"{value:,.2f}" if unit in ("s", "") else f"{value:,.1f}".removesuffix(".0")
    print(f"  {what:<66} {shown:>9} {unit:<5} {'bar ' + bar if bar else '':<13} {verdict}", flush=True)
    if note:
        print(f"      {note}", flush=True)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def median(values):
    return statistics.median(values)


def earlier(path, groups):
    """Rows of groups that this run did not measure, from the file that it replaces."""
    try:
        with open(path) as file:
            return [r for r in json.load(file)["rows"] if r["group"] not in groups]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def write(path, groups):
    kept = earlier(path, groups)
    with open(path, "w") as file:
        json.dump({"written": now(), "cpus": os.cpu_count(), "rows": kept + ROWS}, file, indent=2)
        file.write("\n")
