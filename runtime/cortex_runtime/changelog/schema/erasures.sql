-- What was erased after a backup was made is erased again in what was restored from it, before anything serves that.
-- All of it may be repeated. What was put anew after its erasure is younger than that, and stays.

-- Erases what an operation had erased in a cortex; returns how many concepts that was. Whoever has arrays or a snapshot
-- of the slot finds another head, and no log that leads to it, and so loads what is in the tables.
create or replace function replay_erasure(p_tenant text, p_cortex text, p_operation bigint, p_ids bytea[]) returns bigint
language plpgsql set search_path = public, pg_temp as $$
declare
    its_slot smallint;
    gone bytea[];
    removed bigint;
begin
    update cortex set operations = greatest(operations, p_operation) -- so all that comes is younger
        where tenant = p_tenant and name = p_cortex returning slot into its_slot;
    if not found then
        return 0;
    end if;
    delete from concept
        where slot = its_slot and tenant = p_tenant and id = any (p_ids) and operation <= p_operation;
    get diagnostics removed = row_count;
    gone := array(select id from unnest(p_ids) as erased (id) where not exists (
        select from concept where slot = its_slot and tenant = p_tenant and concept.id = erased.id));
    delete from relationship
        where slot = its_slot and tenant = p_tenant and (source = any (gone) or target = any (gone));
    insert into tombstone (slot, tenant, cortex, id, operation)
        select its_slot, p_tenant, p_cortex, id, p_operation from unnest(gone) as erased (id)
        on conflict (slot, tenant, id) do update set operation = greatest(tombstone.operation, excluded.operation);
    if removed > 0 then
        delete from change where slot = its_slot;
        delete from idempotency where tenant = p_tenant;
        update slot_head set seq = seq + 1, digest = sha256(digest || 'erased') where slot = its_slot;
    end if;
    return removed;
end
$$;

-- Removes all that there is of a tenant that had left; returns how many rows that was.
create or replace function replay_leaving(p_tenant text) returns bigint
language plpgsql set search_path = public, pg_temp as $$
declare
    removed bigint;
    total bigint := 0;
begin
    update tenant set state = 'leaving', epoch = epoch + 1 where name = p_tenant and state in ('active', 'suspended');
    if not exists (select from tenant where name = p_tenant) then
        return 0;
    end if;
    loop
        removed := purge_tenant(p_tenant, 5000);
        exit when removed = 0;
        total := total + removed;
    end loop;
    update directory set version = version + 1;
    return total;
end
$$;
