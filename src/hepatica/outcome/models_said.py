"""What is said of the published models that a next treatment is predicted with."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.core.numbers.confidence import FROM_MEMORY, UNCERTAIN
from hepatica.dosimetry.radiobiology import ResponseModel


def about_models(used: Sequence[ResponseModel], models: Sequence[ResponseModel], carried: str) -> list[Message]:
    """What the reader of predictions must know: confidence, what is not published, what the models were fitted on."""
    messages = [
        Message(
            "model-confidence",
            f"{model.name}: confidence of its parameters: {model.confidence}",
            f"check {model.source} before use",
        )
        for model in used
        if model.confidence in (FROM_MEMORY, UNCERTAIN)
    ]
    toxicity = [model for model in models if model.kind == "ntcp"]
    if not any(model.has_curve for model in toxicity):
        text = f"no toxicity curve is published for {carried}: no NTCP is stated"
        messages.append(Message("no-toxicity-curve", text))
    if toxicity:
        text = (
            "toxicity models were fitted on the whole non-tumorous liver and one treatment: the dose to the normal "
            "liver must be its mean, not that of a territory, for the NTCP to mean anything"
        )
        messages.append(Message("whole-liver-model", text))
    if any(model.metric == "bed" for model in models):
        text = "models of BED take the BED of mean doses for the mean of voxel BED, which is higher"
        messages.append(Message("bed-of-mean-dose", text))
    return messages


def about_indication(
    published: Sequence[ResponseModel], models: Sequence[ResponseModel], indication: str | None
) -> list[Message]:
    """Which published goals are shown, and why."""
    left_out = [model.name for model in published if model not in models]
    if left_out:
        text = f"models of other diseases than {indication} are left out: {', '.join(left_out)}"
        return [Message("models-of-other-diseases", text, severity="note")]
    diseases = sorted({name for model in models for name in model.indications} - {"*"})
    if indication is None and len(diseases) > 1:
        text = f"the indication is not stated: models of every disease are shown ({', '.join(diseases)})"
        return [Message("models-of-every-disease", text, "state `indication`", severity="note")]
    return []
