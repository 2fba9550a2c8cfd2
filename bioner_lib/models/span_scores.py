"""The score of a mention -> the probability that it is right, as dev taught it.

calibration.json in a tagger's folder holds one exponent and one threshold per type;
`runs.calibrated.calibrate` writes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import WorkbookError
from ..home import replace_text

FILE = "calibration.json"
FORMAT = 1
_EDGE = 5e-5  # stored predictions have 4 decimals: a score of 1.0000 may be a little less


@dataclass(frozen=True)
class Calibration:
    """What dev predictions taught about the scores of a tagger's mentions.

    exponents    type -> g, where score ** g is the probability of being right. A type that isn't
                 here keeps its scores
    thresholds   type -> the lowest probability to keep, with the highest dev F1; a type that isn't
                 here keeps all mentions
    about        everything that the file says, numbers of the fit included
    """

    exponents: Mapping[str, float]
    thresholds: Mapping[str, float]
    about: Mapping = field(default_factory=dict, compare=False)

    def probability(self, type: str, score: float) -> float:
        """The probability (0 to 1) that a mention of this type with this score is right."""
        if type not in self.exponents:
            return score
        return float(calibrated(score, self.exponents[type]))


def calibrated(scores, exponent: float) -> np.ndarray:
    """score ** exponent, for scores of 0 to 1: a higher score never gets a lower probability."""
    return np.clip(scores, _EDGE, 1 - _EDGE) ** exponent


def write_calibration(about: Mapping, folder: Path) -> Path:
    """Write calibration.json; `about` has `types`: type -> exponent, threshold (or None) …"""
    path = folder / FILE
    replace_text(path, json.dumps({"format": FORMAT, **about}, indent=1))
    return path


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a tagger's folder, or None.

    Raises WorkbookError for a damaged file, and for a newer format.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        format = int(about["format"])
        values = {}
        for name in ("exponent", "threshold") if format <= FORMAT else ():
            given = {type: own[name] for type, own in about["types"].items()}
            values[name] = {type: float(v) for type, v in given.items() if v is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkbookError(
            f"{path} is damaged ({error!r}); delete it, and calibrate the run again: from "
            "bioner_lib import calibrate; calibrate('<run id>')"
        ) from None
    if format > FORMAT:
        raise WorkbookError(
            f"{path} has format {format}, which a newer version of the workbook writes: update "
            "bioner-workbook, or delete the file"
        )
    return Calibration(values["exponent"], values["threshold"], about)
