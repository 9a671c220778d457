"""A phone system's recipe (TOML) and what it makes of a file: the canonical call frame, still as text.

The language of recipes is explained in schemas/callimport_schemas/profiles/README.md, every word of it with an example.

model       a checked recipe as a value
toml_table  a table of TOML that names file and key in its complaints
grammar     its two small languages: where a text comes from, and what is true of a row
loading     TOML → recipe
library     the recipes that come with the program, and the user's own
columns     which column of a file is meant by which name
detection   which recipe a file is of, and where its rows begin
conditions  the two small languages as expressions
timezones   times whose zone the file tells
mojibake    names whose letters were read in the wrong encoding
forms       the door to the modules that read times, durations and numbers
apply       a frame of cells → the canonical call frame
"""

from callimport.profiles.apply import NOTHING, Given, canonical, evidence
from callimport.profiles.columns import resolved
from callimport.profiles.detection import Match, detect, fit, headed, refuse_no_table
from callimport.profiles.library import available, load, text_of
from callimport.profiles.loading import QUESTION
from callimport.profiles.model import Cell, Chain, FileName, Legs, Profile

__all__ = [
    "NOTHING",
    "QUESTION",
    "Cell",
    "Chain",
    "FileName",
    "Given",
    "Legs",
    "Match",
    "Profile",
    "available",
    "canonical",
    "detect",
    "evidence",
    "fit",
    "headed",
    "load",
    "refuse_no_table",
    "resolved",
    "text_of",
]
