"""What the machine was like while blocks were timed: clocks, temperature, power, energy, throttling, other load.

Each family is one file with one probe. A probe tells what it can and says of the rest why not; reading never raises.
`docs/telemetry.md` lists the quantities with their units.
"""

from bakeoff.speed.telemetry.nvidia import throttle_words
from bakeoff.speed.telemetry.recorder import BUSY_SHARE, COST_SHARE, STEAL_SHARE, Cost, Telemetry

__all__ = ["BUSY_SHARE", "COST_SHARE", "STEAL_SHARE", "Cost", "Telemetry", "throttle_words"]
