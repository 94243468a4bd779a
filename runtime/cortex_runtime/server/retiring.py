"""What still needs a version of a tenant's key, and its end once nothing does."""

from __future__ import annotations

from cortex_runtime.changelog.database import Connection

DESTROYED_AFTER = "15 s"  # a node that beats at least that often lives, and has its say
TOLD_WITHIN = "90 s"
_USES = "select version, part, uses::bigint from key_ledger(%s) order by version, part"
_SILENT = f"""
    select name from node left join key_use_told told on told.node = node.name
    where heartbeat > clock_timestamp() - interval '{DESTROYED_AFTER}'
      and (told.at is null or told.at < clock_timestamp() - interval '{TOLD_WITHIN}') order by name
"""  # noqa: S608 - the only things put in are the constants above  # nosec B608
_DESTROY = """
    update data_key set state = 'DESTROYED', wrapped = '', check_value = '', destroyed_at = clock_timestamp()
    where tenant = %s and version = %s
"""


async def uses(connection: Connection, tenant: str) -> list[tuple[int, str, int]]:
    """Return version, part and number of all that needs a tenant's keys."""
    return await (await connection.execute(_USES, [tenant])).fetchall()


async def needed_for(connection: Connection, tenant: str, version: int) -> list[str]:
    """Return what still needs a version, in words; nothing when it can be destroyed."""
    needed = [f"{count} {part}" for of, part, count in await uses(connection, tenant) if of == version]
    silent = [row[0] for row in await (await connection.execute(_SILENT)).fetchall()]
    return [*needed, f"snapshots that {', '.join(silent)} may have"] if silent else needed


async def destroy(connection: Connection, tenant: str, version: int) -> None:
    """Overwrite a version's wrapped key; a tombstone stays. The caller has seen that nothing needs it."""
    await connection.execute(_DESTROY, [tenant, version])


async def lock_keys(connection: Connection, tenant: str) -> None:
    """Wait for the appends in flight and for other changes to a tenant's keys, until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtext('keys'), hashtext(%s))", [tenant])
