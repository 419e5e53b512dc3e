"""What a person has done with a loaded clip, as far as the clip has these frames, and what is measured with it."""

from __future__ import annotations

from echoseg.inference.measure import Measurement
from echoseg.inference.predictor import Prediction
from echoseg.review.clips import Clips, LoadedClip
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.tables import Beats, FrameState


def versioned_states(loaded: LoadedClip, corrections: CorrectionsFolder) -> dict[int, tuple[FrameState, int]]:
    """The changed frames that the clip has, with their versions.

    The tables may have been written for a longer file, or with another network; see `LoadedClip.of_this_network`.
    """
    count = len(loaded.clip.frames)
    return {
        frame: (loaded.of_this_network(frame, state), version)
        for frame, (state, version) in corrections.states(loaded.source.name).items()
        if frame < count
    }


def states_of(loaded: LoadedClip, corrections: CorrectionsFolder) -> dict[int, FrameState]:
    """The changed frames that the clip has."""
    return {frame: state for frame, (state, _) in versioned_states(loaded, corrections).items()}


def chosen_beats(loaded: LoadedClip, corrections: CorrectionsFolder) -> tuple[Beats | None, int]:
    """The chosen beats and their version; None if there are none, or if the clip lacks one of their frames."""
    beats, version = corrections.beats(loaded.source.name)
    if beats is not None and max((frame for beat in beats for frame in beat), default=0) >= len(loaded.clip.frames):
        beats = None
    return beats, version


def measure_reviewed(
    clips: Clips, loaded: LoadedClip, prediction: Prediction, corrections: CorrectionsFolder
) -> Measurement:
    """The measurement with the chosen beats, of which those with rejected frames are left out.

    Args:
        clips: The clips of the review.
        loaded: One of them.
        prediction: Its prediction, with corrections.
        corrections: What the person did.
    """
    rejected = {frame for frame, state in states_of(loaded, corrections).items() if state.verdict == "rejected"}
    return clips.measure(loaded, prediction, beats=chosen_beats(loaded, corrections)[0], rejected=rejected)
