"""The catalogue that these tests compile against: the real capabilities, under their usual connection names."""

from connectors.capabilities import CAPABILITIES
from orchestrator.playbook.catalogue import ActionType, Catalogue


def usual_catalogue() -> Catalogue:
    """Every action of every capability."""
    return Catalogue.of(
        ActionType(
            connection=capability.usual_connection,
            capability=capability.capability,
            action=spec.name,
            effect=spec.effect,
            summary=spec.summary,
            input_schema=spec.input.model_json_schema(),
            result_schema=spec.result_schema(),
        )
        for capability in CAPABILITIES
        for spec in capability.actions
    )
