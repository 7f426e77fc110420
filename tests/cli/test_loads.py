"""Bad input to cameras and sustained load: exit code 2 and one line that names it, before anything is measured."""

from __future__ import annotations

import pytest

from bakeoff.cli import invoke

CAMERAS = ("--cameras", "30fps")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cameras", "0fps", "--slo-ms", "33"), "not a frame rate above 0"),
        (("--cameras", "-5", "--slo-ms", "33"), "not a frame rate above 0"),
        (("--cameras", "many", "--slo-ms", "33"), "not a frame rate above 0"),
        (("--cameras", "20000", "--slo-ms", "33"), "20000fps is not a frame rate above 0 and up to 10000"),
        (CAMERAS, "cameras needs slo-ms"),
        ((*CAMERAS, "--slo-ms", "-33"), "slo-ms -33 is not positive"),
        ((*CAMERAS, "--slo-ms", "0"), "slo-ms 0 is not positive"),
        ((*CAMERAS, "--slo-ms", "nan"), "slo-ms nan is not positive"),
        ((*CAMERAS, "--slo-ms", "33", "--percentile", "100"), "percentile 100 is not between 0 and 100"),
        ((*CAMERAS, "--slo-ms", "33", "--camera-seconds", "0"), "camera-seconds 0 is not positive"),
        ((*CAMERAS, "--slo-ms", "33", "--workload", "1x2"), "cameras needs a Workload of batch 1"),
        (("--slo-ms", "33"), "slo-ms 33 says nothing without cameras"),
        (("--camera-seconds", "30s"), "camera-seconds 30 says nothing without cameras"),
        (("--sustain", "0s"), "sustain 0 s is not positive"),
        (("--sustain", "5x"), "not a duration such as 90s, 10m or 1h"),
        (("--sustain", "-5m"), "not a duration such as 90s, 10m or 1h"),
    ],
)
def test_bad_load_options_end_in_one_line_and_exit_code_2(arguments, said, tiny_model, tiny_data, tmp_path, capfd):
    out = tmp_path / "run"
    assert invoke(["time", str(tiny_model), "--data", str(tiny_data), "--out", str(out), *arguments]) == 2
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_load_options_belong_to_time_alone(tiny_model, tiny_data, capfd):
    assert invoke(["run", str(tiny_model), "--data", str(tiny_data), "--cameras", "30"]) == 2
    assert "No such option" in capfd.readouterr().err
