"""What the timings were taken on, and what else it was doing meanwhile."""

import os
import pathlib
import platform
import sys
import time

import jax


def machine_load(work):
    """(result of work(), facts): load averages before and after, cores kept busy meanwhile by other processes."""
    load, busy, own, started = os.getloadavg(), _busy_seconds(), sum(os.times()[:4]), time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    own = sum(os.times()[:4]) - own
    other = None if busy is None else max(0.0, round((_busy_seconds() - busy - own) / seconds, 3))
    return result, {"load_before": load, "load_after": os.getloadavg(), "other_cores": other}


def _busy_seconds():
    """CPU seconds of all processes of the machine, stolen ones included; None where there is no /proc."""
    try:
        fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft_irq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")


def machine_facts():
    """The processor, its cores, and what JAX runs on."""
    processor = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    except OSError:
        pass
    device = jax.devices()[0]
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "jax_device": f"{device.platform} {device.device_kind}",
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
    }


def note(text):
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
