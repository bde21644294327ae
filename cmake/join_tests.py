#!/usr/bin/env python3
"""join_tests.py FOLDER PRESET...: one CTestTestfile.cmake in FOLDER with the tests of several builds.

A build's tests keep their properties and get the label filter and the environment of the test preset of that
name (CMakePresets.json); all but the first build's get the prefix `PRESET/` and the label PRESET. One ctest then
runs all of them side by side and closes with one summary.
"""
import json
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
# Properties whose values are names of other tests, or of fixtures that live in one build.
NAMES = {"DEPENDS", "FIXTURES_REQUIRED", "FIXTURES_SETUP", "FIXTURES_CLEANUP"}


def test_presets():
    presets = json.loads((SOURCE / "CMakePresets.json").read_text())["testPresets"]
    return {preset["name"]: preset for preset in presets}


def tests_of(build):
    out = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["tests"]


def quote(value):
    """A CMake bracket argument: nothing in it is interpreted."""
    value = str(value)
    level = "="
    while f"]{level}]" in value:
        level += "="
    return f"[{level}[{value}]{level}]"


def as_text(value):
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, list):
        return ";".join(str(item).replace(";", "\\;") for item in value)
    return str(value)


def properties_of(test, prefix, environment):
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    for name in NAMES & properties.keys():
        properties[name] = [prefix + value for value in properties[name]]
    if environment:
        properties["ENVIRONMENT"] = properties.get("ENVIRONMENT", []) + environment
    return properties


def lines_of(build, preset, prefix):
    wanted = preset.get("filter", {}).get("include", {}).get("label", "")
    environment = [f"{name}={value.replace('${sourceDir}', str(SOURCE))}"
                   for name, value in preset.get("environment", {}).items()]
    for test in tests_of(build):
        properties = properties_of(test, prefix, environment)
        if wanted and not any(re.search(wanted, label) for label in properties.get("LABELS", ())):
            continue
        if prefix:
            properties["LABELS"] = sorted({*properties.get("LABELS", []), preset["name"]})
        name = quote(prefix + test["name"])
        # A program that was not built has no command here: ctest then reports the test as not run.
        command = test.get("command", [test["name"] + "_NOT_BUILT"])
        yield f"add_test({name} {' '.join(quote(word) for word in command)})"
        pairs = " ".join(f"{key} {quote(as_text(value))}" for key, value in properties.items())
        if pairs:
            yield f"set_tests_properties({name} PROPERTIES {pairs})"


def main(folder, *names):
    presets = test_presets()
    lines = []
    for name in names:
        prefix = "" if name == names[0] else name + "/"
        lines += lines_of(SOURCE / "build" / name, presets[name], prefix)
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
