"""Fake /proc and /sys, with contents as real machines show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write(root: Path, files: Mapping[str, str | int]) -> Path:
    """Write files, each with the line feed that the kernel ends them with."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def stat(ticks: Mapping[int, tuple[int, ...]], switches: int = 1000) -> str:
    """Return /proc/stat: each CPU's counters, and lines that nobody asked for."""
    every = [sum(column) for column in zip(*ticks.values(), strict=True)]
    cpus = [f"cpu{cpu} {' '.join(map(str, counters))} 0 0" for cpu, counters in ticks.items()]
    return "\n".join(
        [
            f"cpu  {' '.join(map(str, every))} 0 0",
            *cpus,
            "intr 15612698 " + "0 " * 300,
            f"ctxt {switches}",
            "btime 1732300000",
            "processes 123456",
        ]
    )


XEON = {
    **{f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq": 2_800_000 + 100_000 * cpu for cpu in range(4)},
    **{f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor": "powersave" for cpu in range(4)},
    **{
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}" for cpu in range(4)
    },
    **{f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id": 0 for cpu in range(4)},
    **{f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count": 0 for cpu in range(4)},
    **{f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count": 5 for cpu in range(4)},
    "sys/devices/system/cpu/online": "0-3",
    "sys/devices/system/cpu/intel_pstate/no_turbo": 0,
    "sys/class/thermal/thermal_zone0/type": "acpitz",
    "sys/class/thermal/thermal_zone0/temp": 27800,
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
    "sys/class/thermal/thermal_zone1/temp": 61000,
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/energy_uj": 262_143_000_000,
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": 262_143_328_850,
    "sys/class/powercap/intel-rapl:0:0/name": "core",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": 1,
    "sys/class/powercap/intel-rapl:1/name": "psys",
    "sys/class/powercap/intel-rapl:1/energy_uj": 2,
    "proc/self/cgroup": "0::/user.slice/user-1000.slice/session-3.scope",
    "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/memory.current": 734_003_200,
    "sys/fs/cgroup/cpu.stat": "usage_usec 81273645\nuser_usec 60000000\nsystem_usec 21273645",
}

DOCKER_V2 = {
    "proc/self/cgroup": "0::/",
    "sys/fs/cgroup/cpu.max": "150000 100000",
    "sys/fs/cgroup/cpu.stat": (
        "usage_usec 4521093\nuser_usec 3910022\nsystem_usec 611071\nnr_periods 312\nnr_throttled 17\n"
        "throttled_usec 905112\nnr_bursts 0\nburst_usec 0"
    ),
    "sys/fs/cgroup/memory.current": 104_857_600,
    "sys/fs/cgroup/memory.max": 2_147_483_648,
}

DOCKER_V1 = {
    "proc/self/cgroup": (
        "12:memory:/docker/0123abcd\n4:cpu,cpuacct:/docker/0123abcd\n1:name=systemd:/docker/0123abcd\n0::/system.slice"
    ),
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": 200_000,
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100_000,
    "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 150000000",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": 52_428_800,
}

ORIN_NANO = {
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234",
    "sys/class/hwmon/hwmon0/name": "soctherm_oc",
    "sys/class/hwmon/hwmon0/oc1_event_cnt": 0,
    "sys/class/hwmon/hwmon0/oc3_event_cnt": 1,
    "sys/class/hwmon/hwmon1/name": "ina3221",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
    "sys/class/hwmon/hwmon1/in1_input": 5040,
    "sys/class/hwmon/hwmon1/curr1_input": 1000,
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "sys/class/hwmon/hwmon1/in2_input": 5040,
    "sys/class/hwmon/hwmon1/curr2_input": 200,
    "sys/class/hwmon/hwmon1/in3_label": "VDD_SOC",
    "sys/class/hwmon/hwmon1/in3_input": 5032,
    "sys/class/hwmon/hwmon1/curr3_input": 300,
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
    "sys/class/devfreq/17000000.gpu/cur_freq": 624_750_000,
    "sys/class/devfreq/17000000.gpu/min_freq": 306_000_000,
    "sys/class/devfreq/17000000.gpu/max_freq": 624_750_000,
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": 49500,
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
    "sys/class/thermal/thermal_zone1/temp": 51250,
    "etc/nvpmodel.conf": (
        "# comment\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=7W >\n"
        "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >"
    ),
    "var/lib/nvpmodel/status": "pmode:0001",
}

AGX_ORIN_RAILS = {
    "sys/class/hwmon/hwmon3/name": "ina3221",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC",
    "sys/class/hwmon/hwmon3/in1_input": 20000,
    "sys/class/hwmon/hwmon3/curr1_input": 400,
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_CV",
    "sys/class/hwmon/hwmon3/in2_input": 20000,
    "sys/class/hwmon/hwmon3/curr2_input": 100,
    "sys/class/hwmon/hwmon3/in3_label": "NC",
    "sys/class/hwmon/hwmon3/in3_input": 20000,
    "sys/class/hwmon/hwmon3/curr3_input": 32760,
}

NANO_IIO = {
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": 2532,
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": 82,
}
