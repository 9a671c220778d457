"""The sabotages of the simulations and of the crash tests, and the harm by which each must be caught.

Where the tables lie and what a sabotage patches may change; names and harms may not.
"""

from tests.crash.sabotage import SABOTAGES as IN_CRASHES
from tests.simulation.lead_sabotage import SABOTAGES as OF_LEADS
from tests.simulation.sabotage import SABOTAGES as IN_SIMULATION

NAME = "sabotages"


def observe() -> dict[str, dict[str, str]]:
    """Of each attack the sabotages by name, and where and as what each is caught."""
    return {
        "simulation": {name: f"{one.harm}, by profile {one.profile}" for name, one in IN_SIMULATION.items()},
        "simulation of leads": {name: one.harm for name, one in OF_LEADS.items()},
        "crashes": {
            name: f"{one.expected}, in the scene {one.scene!r}" + (", and sent twice" if one.resends else "")
            for name, one in IN_CRASHES.items()
        },
    }
