#!/usr/bin/env python3
"""compare.py CHECK TOPO FACTS SMI: holds `starlane topo --json` (TOPO) against what the CUDA driver API says
(FACTS, of gpu_probe) and nvidia-smi (SMI, its CSV; empty where there is no nvidia-smi). Prints what differs,
exit code 1 if anything does. CHECK:

  figures   one node, found through CUDA: every figure of every GPU, their order and UCU
  pci       one node, found without CUDA: what is found is true; with a driver at work it is also usable
  shared    several nodes: together they offer each GPU of the machine exactly once
  quiet     as pci, and discovery has nothing to complain of
  once      several nodes, found without CUDA: no GPU is offered twice
  none      no node offers a GPU, and none counts a GPU's UCU
"""
import json
import pathlib
import sys

# PCI device id: SMs, CUDA cores, GB, as NVIDIA's data sheets print them.
DATA_SHEETS = {
    "0x2330": (132, 16896, 80),    # H100 SXM5
    "0x2331": (114, 14592, 80),    # H100 PCIe
    "0x2335": (132, 16896, 141),   # H200 SXM
    "0x20b2": (108, 6912, 80),     # A100 SXM4
    "0x20b5": (108, 6912, 80),     # A100 PCIe
    "0x1eb8": (40, 2560, 16),      # T4
    "0x27b8": (58, 7424, 24),      # L4
}

wrong = []


def same(what, is_, should_be):
    if is_ != should_be:
        wrong.append(f"{what} is {is_!r}, not {should_be!r}")


def smi_rows(path):
    """By UUID: name, PCI address as in /sys, MiB, MHz, capability, PCI device id; None where it has no answer."""
    rows = {}
    for line in pathlib.Path(path).read_text().splitlines():
        uuid, *rest = (word.strip() for word in line.split(","))
        rest = [None if word.startswith("[") else word for word in rest]
        name, address, mib, mhz, capability, device = rest
        rows[uuid] = {"name": name, "pci_bus_id": address[4:].lower() if address else None,
                      "mib": int(mib) if mib else None, "mhz": int(mhz) if mhz else None,
                      "compute_capability": capability,
                      "device": f"0x{device[2:6].lower()}" if device else None}
    return rows


def gpus_of(node):
    return [each for each in node["hardware"]["accelerators"] if each["type"] == "GPU"]


def gpu_warnings(node):
    return [text for text in node["hardware"]["warnings"] if "CUDA" in text or "GPU" in text]


def against_smi(what, gpu, row):
    for key in "name", "pci_bus_id", "compute_capability":
        if row[key] is not None:
            same(f"{what}: {key} (nvidia-smi)", gpu.get(key), row[key])
    if row["mhz"] is not None and "clock_mhz" in gpu:
        same(f"{what}: clock_mhz (nvidia-smi's largest SM clock)", gpu["clock_mhz"], row["mhz"])
    # nvidia-smi counts what the driver keeps for itself; CUDA does not.
    if row["mib"] is not None and not row["mib"] * 0.9 <= gpu["memory_bytes"] / 2**20 <= row["mib"]:
        wrong.append(f"{what}: memory_bytes {gpu['memory_bytes']}, and nvidia-smi says {row['mib']} MiB")


def against_sheet(what, gpu, device):
    if device not in DATA_SHEETS:
        print(f"note: {what}, PCI device {device}, is not among the data sheets: SMs are the driver's word alone")
        return
    sms, cores, gigabytes = DATA_SHEETS[device]
    same(f"{what}: sms (data sheet)", gpu["sms"], sms)
    same(f"{what}: cuda_cores (data sheet)", gpu["cuda_cores"], cores)
    same(f"{what}: memory_gb (data sheet)", gpu["memory_gb"], gigabytes)


def ucu_of(gpu):
    return gpu["cuda_cores"] * 0.8 + gpu["memory_gb"] * 0.2


def check_ucu(node):
    total = 0.0
    gpus = gpus_of(node)
    terms = [term for term in node["hardware"]["ucu"]["terms"] if term["type"] == "GPU"]
    same("terms of GPUs in UCU", len(terms), len(gpus))
    for gpu, term in zip(gpus, terms):
        same(f"UCU of {gpu['name']}", term["ucu"], ucu_of(gpu))
        total += ucu_of(gpu)
    same("gpu_ucu of the machine", node["hardware"]["ucu"]["gpu_ucu"], total)
    same("gpu_ucu offered", node["offer"]["gpu_ucu"], total)
    parts = node["offer"]["cpu_ucu"] + node["offer"]["gpu_ucu"] + node["offer"]["tpu_ucu"]
    same("UCU offered in all", node["offer"]["total_ucu"], parts)


def figures(nodes, facts, smi):
    same("nodes", len(nodes), 1)
    gpus = gpus_of(nodes[0])
    same("GPUs found", len(gpus), len(facts))
    same("GPUs offered", nodes[0]["offer"]["gpus"], len(facts))
    same("warnings of GPUs", gpu_warnings(nodes[0]), [])
    for index, (gpu, fact) in enumerate(zip(gpus, facts)):
        what = f"GPU {index}"
        for key, value in fact.items():
            same(f"{what}: {key} (driver)", gpu.get(key), value)
        same(f"{what}: found", gpu["found"], "cuda")
        same(f"{what}: usable", gpu["usable"], True)
        same(f"{what}: warning", gpu.get("warning"), None)
        row = smi.get(fact["uuid"])
        if row:
            against_smi(what, gpu, row)
        against_sheet(what, gpu, row and row["device"])
        print(f"{what}: {gpu['name']} {gpu['pci_bus_id']} {gpu['sms']} SMs, {gpu['cuda_cores']} CUDA cores, "
              f"{gpu['memory_bytes']} bytes = {gpu['memory_gb']:g} GB, {gpu['clock_mhz']} MHz, "
              f"UCU {ucu_of(gpu):.10g}")
    if smi and not {fact["uuid"] for fact in facts} <= smi.keys():
        wrong.append("nvidia-smi does not know every GPU that CUDA has")
    check_ucu(nodes[0])


def on_the_bus():
    """Addresses of NVIDIA's display controllers, as this machine's /sys has them."""
    found = set()
    for device in pathlib.Path("/sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == "0x10de" and kind.startswith("0x03"):
            found.add(device.name)
    return found


def pci(nodes, facts, smi):
    known = {fact["pci_bus_id"]: fact for fact in facts}
    gpus = gpus_of(nodes[0])
    bus = on_the_bus()
    same("PCI addresses", {gpu["pci_bus_id"] for gpu in gpus}, bus)
    usable = 0
    for gpu in gpus:
        what = f"GPU at {gpu['pci_bus_id']}"
        driver = pathlib.Path("/proc/driver/nvidia/gpus", gpu["pci_bus_id"], "information").exists()
        same(f"{what}: usable", gpu["usable"], driver)
        same(f"{what}: found is by PCI", gpu["found"].startswith("pci"), True)
        same(f"{what}: a warning for want of a driver", "driver" in gpu.get("warning", ""), not driver)
        usable += gpu["usable"]
        fact = known.get(gpu["pci_bus_id"])
        for key in ("name", "uuid") if fact and driver else ():
            if key == "uuid" and key not in gpu:
                continue  # this driver tells it only while the GPU is in use
            same(f"{what}: {key}", gpu.get(key), fact[key])
        for key in ("sms", "compute_capability") if fact and "sms" in gpu else ():
            same(f"{what}: {key}", gpu.get(key), fact[key])
    same("GPUs offered", nodes[0]["offer"]["gpus"], usable)
    print(f"without CUDA: {len(gpus)} GPUs on the bus, {usable} usable")


def quiet(nodes, facts, smi):
    pci(nodes, facts, smi)
    same("warnings of GPUs", gpu_warnings(nodes[0]), [])


def offered_by(node):
    devices = node["hardware"]["accelerators"]
    return [devices[index] for index in node["offer"]["accelerators"] if devices[index]["type"] == "GPU"]


def once(nodes, facts, smi):
    usable = {gpu["pci_bus_id"] for node in nodes for gpu in gpus_of(node) if gpu["usable"]}
    offered = [gpu["pci_bus_id"] for node in nodes for gpu in offered_by(node)]
    same("GPUs offered, all nodes together", sorted(offered), sorted(usable))
    if len(nodes) < 2:
        wrong.append(f"only {len(nodes)} node")


def shared(nodes, facts, smi):
    offered = []
    for node in nodes:
        mine = offered_by(node)
        same(f"rank {node['rank']}: gpus", node["offer"]["gpus"], len(mine))
        same(f"rank {node['rank']}: gpu_ucu", node["offer"]["gpu_ucu"], sum(map(ucu_of, mine)))
        offered += [gpu["uuid"] for gpu in mine]
    same("GPUs offered, all nodes together", sorted(offered), sorted(fact["uuid"] for fact in facts))
    print(f"GPUs offered by {len(nodes)} nodes: {[node['offer']['gpus'] for node in nodes]}")


def none(nodes, facts, smi):
    for node in nodes:
        same(f"rank {node['rank']}: GPUs offered", node["offer"]["gpus"], 0)
        same(f"rank {node['rank']}: gpu_ucu", node["offer"]["gpu_ucu"], 0.0)


def main(check, topo, facts, smi):
    facts = pathlib.Path(facts)
    checks = {"figures": figures, "pci": pci, "quiet": quiet, "once": once, "shared": shared, "none": none}
    checks[check](json.loads(pathlib.Path(topo).read_text()),
                  json.loads(facts.read_text()) if facts.exists() and facts.stat().st_size else [],
                  smi_rows(smi) if pathlib.Path(smi).exists() else {})
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
