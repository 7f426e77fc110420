"""What a Run's end makes of its Trials."""

from __future__ import annotations

import msgspec

from bakeoff import takeaways
from bakeoff.bake import concluded
from bakeoff.store import RunFolder
from bakeoff.view import View
from tests.takeaways.views import OPENVINO, ORT, PYTORCH, SAME, measured


def test_judging_draws_the_takeaways_from_the_new_verdicts_and_they_are_saved(tmp_path):
    view = measured({PYTORCH: (100, None), ORT: (60, SAME), OPENVINO: (50, SAME)})
    run = msgspec.structs.replace(view.run, verdicts=(), takeaways=())
    with RunFolder.create(tmp_path / "run") as folder:
        arrays = {
            f"timing/{key}:{workload}/{name}": array
            for (key, workload), samples in view.timings.items()
            for name, array in samples.arrays().items()
        }
        folder.put("timing", arrays)
        folder.save(concluded(run, folder))
        saved = folder.load()
        assert saved.verdicts == view.run.verdicts
        assert saved.takeaways == takeaways.draw(view)
        assert saved.takeaways
        read = View.of(folder)
        assert takeaways.of(read) == saved.takeaways
