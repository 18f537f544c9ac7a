# SPDX-License-Identifier: Apache-2.0
"""Instructions per message on the hot path, against a committed baseline: script/bench --gate.

bench_gate runs under callgrind once, a dump per row. What is counted is what the program's own code executes; the C library's
(memcpy, memcmp) and libcrypto's instructions are left out, because they depend on the processor and on who built them. So the counts
are the same on every machine, for one compiler and one set of instructions. Both are named in the baseline. Where they differ, the
figures are shown and not judged: they would say something about the compiler.

More than the tolerance above the baseline fails. Who made it better by more is told to lower the baseline, so that what was gained is kept.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

TOLERANCE = 0.03
LEAST = 2.0  # instructions: less is no difference, in a row of a few dozen
BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gate.baseline")


def count(program):
    """[(row, what, instructions per message)], and what they hold for."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--dump-line=no", f"--callgrind-out-file={out}", program],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},  # nothing of the caller's on its stack
        )
        if run.returncode != 0:
            sys.exit(f"bench_gate under callgrind failed:\n{run.stderr}")
        dumps = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = file.read()
            trigger = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.M)
            if trigger:
                dumps[trigger.group(1)] = own_cost(text, os.path.basename(program))
        lines = [line.split("\t") for line in run.stdout.splitlines()]
        valid = "; ".join(" ".join(line[1:]) for line in lines if line[0] == "valid")
        return [(row, what, dumps[row] / int(messages)) for row, messages, what in (x for x in lines if x[0] != "valid")], valid


def own_cost(dump, program):
    """Of callgrind's format: lines of cost belong to the object and function before them; the one behind `calls=` to the callee."""
    total, objects, is_own, is_call = 0, {}, False, False
    for line in dump.splitlines():
        entry = re.match(r"(ob|cob)=\((\d+)\)(?: (.*))?$", line)
        if entry:
            if entry.group(3):
                objects[entry.group(2)] = os.path.basename(entry.group(3)) == program
            if entry.group(1) == "ob":
                is_own = objects[entry.group(2)]
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[0-9+*-]", line):
            total += int(line.split()[1]) if is_own and not is_call else 0
            is_call = False
    return total


def baseline_read():
    """{row: count}, and what they hold for."""
    counts, valid = {}, None
    with open(BASELINE, encoding="utf-8") as file:
        for line in file:
            if line.startswith("valid "):
                valid = line.split(None, 1)[1].strip()
            elif line.strip() and not line.startswith("#"):
                row, value = line.split()
                counts[row] = float(value)
    return counts, valid


def baseline_write(rows, valid):
    with open(BASELINE, "w", encoding="utf-8") as file:
        file.write("# Instructions per message: script/bench --gate compares with this, and writes it with --accept.\n")
        file.write(f"valid {valid}\n")
        for row, _, value in rows:
            file.write(f"{row:<18}{value:>10.1f}\n")


def judge(rows, baseline, is_comparable):
    """[{row, what, count, baseline, change, verdict}]"""
    judged = []
    for row, what, value in rows:
        before = baseline.get(row)
        verdict, change = "new: accept it", None
        if before is not None:
            change = value / before - 1
            is_far = abs(value - before) > max(TOLERANCE * before, LEAST)
            verdict = "holds" if not is_far else "SLOWER" if change > 0 else "better: accept it"
        if not is_comparable:
            verdict = "not judged"
        judged.append(
            {
                "benchmark": "gate",
                "row": row,
                "what": what,
                "unit": "instructions",
                "count": round(value, 1),
                "baseline": before,
                "change": change,
                "verdict": verdict,
                "holds": verdict != "SLOWER",
            }
        )
    return judged


def print_table(judged):
    print(f"{'row':<18}{'count':>9}{'baseline':>10}{'change':>9}  {'verdict':<18}  what, in instructions per message")
    for r in judged:
        before = "" if r["baseline"] is None else f"{r['baseline']:.1f}"
        change = "" if r["change"] is None else f"{100 * r['change']:+.1f} %"
        print(f"{r['row']:<18}{r['count']:>9.1f}{before:>10}{change:>9}  {r['verdict']:<18}  {r['what']}")


def print_tap(judged, note):
    print(f"1..{len(judged)}")
    for i, r in enumerate(judged, 1):
        skip = f" # SKIP {note}" if r["verdict"] == "not judged" else ""
        print(f"{'ok' if r['holds'] else 'not ok'} {i} - gate {r['row']}: {r['what']}: {r['count']} instructions, baseline {r['baseline']}{skip}")
        if r["verdict"] not in ("holds", "not judged"):
            print(f"# {r['verdict']}; script/bench --gate shows all rows, script/bench --gate --accept makes them the baseline")


def main():
    parser = argparse.ArgumentParser(prog="script/bench --gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--accept", action="store_true", help="make what was counted the baseline (bench/gate.baseline)")
    parser.add_argument("--output", choices=["json"], help="for programs")
    parser.add_argument("--tap", action="store_true", help="as tests")
    options = parser.parse_args()

    rows, valid = count(os.path.join(options.build, "bench", "bench_gate"))
    if options.accept:
        baseline_write(rows, valid)
    baseline, valid_then = baseline_read()
    judged = judge(rows, baseline, valid == valid_then)
    note = "" if valid == valid_then else f"the baseline holds for {valid_then}; this is {valid}"
    if options.tap:
        print_tap(judged, note)
    elif options.output == "json":
        print(json.dumps(judged, indent=1))
    else:
        print_table(judged)
        if note:
            print(f"not judged: {note}")
        elif any(r["verdict"] == "SLOWER" for r in judged):
            print("slower than the baseline: make it quick again, or say in the commit why it has to be, with script/bench --gate --accept")
        elif any(r["verdict"] != "holds" for r in judged):
            print("keep what was gained: script/bench --gate --accept, and commit bench/gate.baseline")
    sys.exit(0 if all(r["holds"] for r in judged) else 1)


if __name__ == "__main__":
    main()
