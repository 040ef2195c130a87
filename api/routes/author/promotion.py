"""Routes of promotion: signing keys, signatures, bundles, stages of versions, and sync."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, CurrentPrincipal, GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.routes.author.playbooks import PlaybookName
from api.schemas.promotion import (
    AddSigningKey,
    Promote,
    RollBackTo,
    SetStage,
    Sign,
    SyncWith,
)
from orchestrator.authoring import promotion
from orchestrator.authoring.promotion import PromotionCheck
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden
from orchestrator.registry import bundle as bundles
from orchestrator.registry import signatures, trust, versions
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.signatures import SignatureStatus
from orchestrator.registry.statement import Signature
from orchestrator.registry.sync import FolderContent, SyncResult, sync
from orchestrator.registry.trust import SigningKeyView
from orchestrator.registry.versions import RetiredVersions, VersionUsage

router = APIRouter(tags=["promotion"], route_class=GuardedRoute)

Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])]
Fingerprint = Annotated[str, Path(min_length=1, max_length=64, examples=["0123456789abcdef"])]
_PUBLISH = [requires(Permission.PLAYBOOK_PUBLISH)]
_READ = [requires(Permission.READ)]


@router.get(
    "/v1/signing-keys",
    response_model=Page[SigningKeyView],
    dependencies=_READ,
    responses=error_responses(401, 403, 422),
)
async def list_signing_keys(
    rt: Rt, cursor: Cursor = None, limit: Limit = 50
) -> Page[SigningKeyView]:
    """List the keys whose signatures are trusted, revoked keys included."""
    return page_of(await trust.list_signing_keys(rt), lambda key: key.fingerprint, cursor, limit)


@router.post(
    "/v1/signing-keys",
    status_code=201,
    response_model=SigningKeyView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 409, 422),
)
async def add_signing_key(rt: Rt, actor: Actor, body: AddSigningKey) -> SigningKeyView:
    """Trust a person's key."""
    return await trust.add_signing_key(rt, body.person, body.public_key, actor=actor)


@router.delete(
    "/v1/signing-keys/{fingerprint}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def revoke_signing_key(
    rt: Rt, actor: Actor, replaces: IfMatch, fingerprint: Fingerprint
) -> Response:
    """Revoke a key: nothing that it signed is trusted any more."""
    await trust.revoke_signing_key(rt, fingerprint, actor=actor, replaces=replaces)
    return Response(status_code=204)


@router.get(
    "/v1/playbooks/{playbook}/{version}/signatures",
    response_model=SignatureStatus,
    dependencies=_READ,
    responses=error_responses(401, 403, 404, 422),
)
async def get_signature_status(rt: Rt, playbook: PlaybookName, version: Number) -> SignatureStatus:
    """Get the signatures of a version, what is missing, and the digests to sign."""
    return await signatures.signature_status(rt, playbook, version)


@router.post(
    "/v1/playbooks/{playbook}/{version}/signatures",
    status_code=201,
    response_model=SignatureStatus,
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 404, 409, 422),
)
async def add_signature(
    rt: Rt, actor: Actor, playbook: PlaybookName, version: Number, body: Sign
) -> SignatureStatus:
    """Add a signature that was made on the signer's own machine."""
    return await signatures.add_signature(
        rt, playbook, version, Signature.model_validate(body.model_dump()), actor=actor
    )


@router.get(
    "/v1/playbooks/{playbook}/{version}/bundle",
    response_model=Bundle,
    dependencies=_READ,
    responses=error_responses(401, 403, 404, 422),
)
async def get_playbook_bundle(rt: Rt, playbook: PlaybookName, version: Number) -> Bundle:
    """Get the version with its tests and signatures, for another installation."""
    return await bundles.make_bundle(rt, playbook, version)


@router.post(
    "/v1/promotions",
    response_model=PromotionCheck,
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 409, 422),
)
async def promote_playbook(rt: Rt, actor: Actor, body: Promote) -> PromotionCheck:
    """Publish a bundle if there are no objections.

    Checked are digest, tests and their coverage, lint rules, signature and review.
    """
    if not body.check:
        await promotion.promote(rt, body.bundle, actor=actor, stage=body.stage)
    return await promotion.check_promotion(rt, body.bundle)


@router.put(
    "/v1/playbooks/{playbook}/{version}/stage",
    response_model=list[VersionUsage],
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def set_playbook_stage(
    rt: Rt, actor: Actor, replaces: IfMatch, playbook: PlaybookName, version: Number, body: SetStage
) -> list[VersionUsage]:
    """Let a version take alerts, or run dry next to the one that does."""
    await versions.set_stage(rt, playbook, version, body.stage, actor=actor, replaces=replaces)
    return await versions.version_usage(rt, playbook)


@router.post(
    "/v1/playbooks/{playbook}/{version}/reinstate",
    response_model=list[VersionUsage],
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def reinstate_playbook(
    rt: Rt, actor: Actor, replaces: IfMatch, playbook: PlaybookName, version: Number
) -> list[VersionUsage]:
    """Let a retired version start runs again."""
    await versions.reinstate(rt, playbook, version, actor=actor, replaces=replaces)
    return await versions.version_usage(rt, playbook)


@router.post(
    "/v1/playbooks/{playbook}/roll-back",
    response_model=RetiredVersions,
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def roll_back_playbook(
    rt: Rt, actor: Actor, replaces: IfMatch, playbook: PlaybookName, body: RollBackTo
) -> RetiredVersions:
    """Let an earlier version take alerts again; open runs keep the version they started with."""
    return await versions.roll_back(rt, playbook, body.to, actor=actor, replaces=replaces)


@router.get(
    "/v1/playbooks/{playbook}/usage",
    response_model=list[VersionUsage],
    dependencies=_READ,
    responses=error_responses(401, 403, 404, 422),
)
async def get_playbook_usage(rt: Rt, playbook: PlaybookName) -> list[VersionUsage]:
    """List the versions with their open runs and live leases."""
    return await versions.version_usage(rt, playbook)


@router.post(
    "/v1/sync",
    response_model=SyncResult,
    dependencies=_PUBLISH,
    responses=error_responses(401, 403, 409, 422),
)
async def sync_playbooks(rt: Rt, who: CurrentPrincipal, actor: Actor, body: SyncWith) -> SyncResult:
    """Bring this installation to what a folder holds.

    A policy in the folder requires the permission `policy:write` too.
    """
    if body.policy is not None and not who.has_permission(Permission.POLICY_WRITE):
        raise Forbidden(
            f"{who.person} lacks permission {Permission.POLICY_WRITE}; leave the policy out"
        )
    wanted = FolderContent.model_validate(body.model_dump(exclude={"plan"}))
    return await sync(rt, wanted, plan_only=body.plan, actor=actor)
