"""The command line of the fuzzing program."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

ABOUT = """Damage sound files of every format that hepatica reads, let its public functions read them,
and judge the rest.

Every input must be answered soundly or refused with a HepaticaError, in 10 s, in three times the decoded size plus
300 MB, without stray output, and without an answer that contradicts what was left whole. Anything else is a finding:
kept once for each place, made smaller, with the command that runs it again. Exit code 1 if there was any."""

EXAMPLES = """examples:
  python tools/checks/fuzz.py --seconds 60                     a minute over all formats
  python tools/checks/fuzz.py --inputs 200000 --out findings   a long run
  python tools/checks/fuzz.py --format nii --format mha        these formats alone
  python tools/checks/fuzz.py --format nii --seed 1 --only 42  one case again, with its traceback
"""


def main(arguments: Sequence[str]) -> int:
    """Run; the exit code."""
    options = _parser().parse_args(arguments)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from fuzzing.campaign import Campaign
    from fuzzing.seeds import seeds

    formats = seeds(options.data if options.data and options.data.is_dir() else None, tuple(options.format))
    if options.list:
        for name, group in formats.items():
            print(
                f"{name:<12}{len(group)} seeds: {', '.join(sorted({stage for seed in group for stage in seed.stages}))}"
            )
        return 0
    if unknown := sorted(set(options.format) - set(formats)):
        print(f"unknown format {unknown[0]}; known: {', '.join(formats)}", file=sys.stderr)
        return 2
    names = [name for name in options.format or formats if name not in options.skip]
    campaign = Campaign(formats, options.seed, options.out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.only is not None:
        return _one(campaign, names, options.only)
    seconds = 60.0 if options.seconds is None and options.inputs is None else options.seconds
    try:
        campaign.run(names, inputs=options.inputs, seconds=seconds, first=options.first)
    except KeyboardInterrupt:
        print("interrupted")
    print(campaign.table())
    return 1 if campaign.failed else 0


def _one(campaign: object, names: Sequence[str], number: int) -> int:
    """Judge one case of each format, and show all of it."""
    from fuzzing.campaign import Campaign
    from fuzzing.ways.damage import make_case
    from fuzzing.worker import Worker

    assert isinstance(campaign, Campaign)
    worker = Worker(campaign.formats, campaign.seed)
    failed = False
    for name in names:
        _, case = make_case(campaign.formats, name, campaign.seed, number)
        verdict = worker.judge(name, number)
        print(f"{name} {number}: {case.how} (must be {case.promise.value})")
        print(
            f"{verdict.outcome} {verdict.place} {verdict.stages} {verdict.seconds} s {verdict.peak_mb} MB\n"
            f"{verdict.detail}"
        )
        failed |= verdict.failed
    worker.close()
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "fuzz.py", description=ABOUT, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("HEPATICA_DATA")
    parser.add_argument(
        "--seconds", type=float, help="stop after so many seconds (60, if --inputs is not given either)"
    )
    parser.add_argument("--inputs", type=int, help="stop after so many inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first input of each format, to go on from (0)"
    )
    parser.add_argument("--format", action="append", default=[], help="only this format; repeat for several")
    parser.add_argument("--skip", action="append", default=[], help="not this format; repeat for several")
    parser.add_argument("--list", action="store_true", help="show the formats, their seeds and readers")
    parser.add_argument("--only", type=int, help="run the input of this number alone and show what came of it")
    parser.add_argument("--out", type=Path, help="folder for findings: files, place, command to run again")
    parser.add_argument(
        "--data", type=Path, default=Path(data) if data else None, help="folder of real images (HEPATICA_DATA)"
    )
    return parser
