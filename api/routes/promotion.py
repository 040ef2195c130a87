"""Promotion: signatures, bundles, versions that come and go, and folders that an installation follows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, Guarded, Who, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.routes.playbooks import PlaybookName
from api.schemas.examples import (
    BUNDLE,
    EXAMINATION,
    SIGNED,
    SIGNING_KEY,
    SYNCED,
    USAGE,
    listed,
    shown,
)
from api.schemas.promotion import (
    AddSigningKey,
    Promote,
    Retired,
    RollBackTo,
    SetStage,
    Sign,
    SyncWith,
)
from orchestrator.authoring.promotion import promote as promotion
from orchestrator.authoring.promotion.promote import Examination
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden
from orchestrator.registry import bundle as bundles
from orchestrator.registry import signing, signing_keys, versions
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.signing import Signed
from orchestrator.registry.signing_keys import SigningKeyView
from orchestrator.registry.statement import Signature
from orchestrator.registry.sync import Synced, Wanted, sync
from orchestrator.registry.versions import VersionUse

router = APIRouter(tags=["promotion"], route_class=Guarded)

Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])]
Fingerprint = Annotated[str, Path(min_length=1, max_length=64, examples=["0123456789abcdef"])]
_PUBLISH = [requires(Permission.PLAYBOOK_PUBLISH)]
_READ = [requires(Permission.READ)]


@router.get(
    "/v1/signing-keys",
    response_model=Page[SigningKeyView],
    dependencies=_READ,
    responses=listed(SIGNING_KEY) | documented(401, 403, 422),
)
async def list_signing_keys(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """By whose keys signatures are believed."""
    return page_of(
        await signing_keys.list_signing_keys(rt), lambda key: key.fingerprint, cursor, limit
    )


@router.post(
    "/v1/signing-keys",
    status_code=201,
    response_model=SigningKeyView,
    dependencies=[requires(Permission.ADMIN)],
    responses=shown(SIGNING_KEY, 201) | documented(401, 403, 409, 422),
)
async def add_signing_key(rt: Rt, actor: Actor, body: AddSigningKey) -> object:
    """Believe a person's key."""
    return await signing_keys.add_signing_key(rt, body.person, body.public_key, actor=actor)


@router.delete(
    "/v1/signing-keys/{fingerprint}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 404, 422),
)
async def revoke_signing_key(rt: Rt, actor: Actor, fingerprint: Fingerprint) -> Response:
    """Believe nothing that it signed any more."""
    await signing_keys.revoke_signing_key(rt, fingerprint, actor=actor)
    return Response(status_code=204)


@router.get(
    "/v1/playbooks/{name}/{version}/signatures",
    response_model=Signed,
    dependencies=_READ,
    responses=shown(SIGNED) | documented(401, 403, 404, 422),
)
async def show_signatures(rt: Rt, name: PlaybookName, version: Number) -> object:
    """What was signed, what is still missing, and the digests that a statement holds."""
    return await signing.signed(rt, name, version)


@router.post(
    "/v1/playbooks/{name}/{version}/signatures",
    status_code=201,
    response_model=Signed,
    dependencies=_PUBLISH,
    responses=shown(SIGNED, 201) | documented(401, 403, 404, 409, 422),
)
async def add_signature(
    rt: Rt, actor: Actor, name: PlaybookName, version: Number, body: Sign
) -> object:
    """Keep a signature that was made elsewhere; private keys never come here."""
    return await signing.add_signature(
        rt, name, version, Signature.model_validate(body.model_dump()), actor=actor
    )


@router.get(
    "/v1/playbooks/{name}/{version}/bundle",
    response_model=Bundle,
    dependencies=_READ,
    responses=shown(BUNDLE) | documented(401, 403, 404, 422),
)
async def show_bundle(rt: Rt, name: PlaybookName, version: Number) -> object:
    """The version with its tests and signatures, for another installation."""
    return await bundles.bundled(rt, name, version)


@router.post(
    "/v1/promotions",
    response_model=Examination,
    dependencies=_PUBLISH,
    responses=shown(EXAMINATION) | documented(401, 403, 409, 422),
)
async def promote(rt: Rt, actor: Actor, body: Promote) -> object:
    """Publish a bundle here when nothing stands against it: same digest, tests and coverage, lint, signature, review."""
    if not body.check:
        await promotion.promote(rt, body.bundle, actor=actor, stage=body.stage)
    return await promotion.examine(rt, body.bundle)


@router.put(
    "/v1/playbooks/{name}/{version}/stage",
    response_model=list[VersionUse],
    dependencies=_PUBLISH,
    responses=shown(USAGE) | documented(401, 403, 404, 409, 422),
)
async def set_stage(
    rt: Rt, actor: Actor, name: PlaybookName, version: Number, body: SetStage
) -> object:
    """Let a version take alerts, or run dry beside the one that does."""
    await versions.set_stage(rt, name, version, body.stage, actor=actor)
    return await versions.used_versions(rt, name)


@router.post(
    "/v1/playbooks/{name}/{version}/reinstate",
    response_model=list[VersionUse],
    dependencies=_PUBLISH,
    responses=shown(USAGE) | documented(401, 403, 404, 422),
)
async def reinstate(rt: Rt, actor: Actor, name: PlaybookName, version: Number) -> object:
    """Let a retired version be started again."""
    await versions.reinstate(rt, name, version, actor=actor)
    return await versions.used_versions(rt, name)


@router.post(
    "/v1/playbooks/{name}/roll-back",
    response_model=Retired,
    dependencies=_PUBLISH,
    responses=documented(401, 403, 404, 409, 422),
)
async def roll_back(rt: Rt, actor: Actor, name: PlaybookName, body: RollBackTo) -> object:
    """Go back to an earlier version; runs that are under way keep what they started with."""
    return Retired(retired=await versions.roll_back(rt, name, body.to, actor=actor))


@router.get(
    "/v1/playbooks/{name}/usage",
    response_model=list[VersionUse],
    dependencies=_READ,
    responses=shown(USAGE) | documented(401, 403, 404, 422),
)
async def usage(rt: Rt, name: PlaybookName) -> object:
    """Which versions still have open runs, or hold something."""
    return await versions.used_versions(rt, name)


@router.post(
    "/v1/sync",
    response_model=Synced,
    dependencies=_PUBLISH,
    responses=shown(SYNCED) | documented(401, 403, 409, 422),
)
async def synchronize(rt: Rt, who: Who, actor: Actor, body: SyncWith) -> object:
    """Bring this installation to what a folder holds. A policy in it takes the permission to publish policies as well."""
    if body.policy is not None and not who.may(Permission.POLICY_WRITE):
        raise Forbidden(
            f"{who.person} may not publish policies; it takes the permission {Permission.POLICY_WRITE}, or leave the policy out"
        )
    wanted = Wanted.model_validate(body.model_dump(exclude={"plan"}))
    return await sync(rt, wanted, plan_only=body.plan, actor=actor)
