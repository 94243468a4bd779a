-- The only way anything enters a slot's log: one call, alone in its transaction. It takes the owner's
-- row FOR SHARE, so that whoever raises the token waits for it; an insert that merely found no owner
-- would insert nothing and succeed, hence the explicit raise. SQLSTATEs: CX001 not the owner, CX002 the
-- head moved, CX003 key version not active, CX004 a quota is reached; unique_violation on idempotency means: done before.
-- Rows name the change they belong to by its number in p_entries (from 1); an edge is source, type and
-- target, 16 bytes each, in one.
create or replace function append(
    p_slot smallint, p_node text, p_token bigint, p_seq bigint, p_digest bytea,
    p_tenants text[], p_cortices text[], p_operations bigint[], p_columns int[], p_entries bytea[], p_versions jsonb,
    c_changes int[], c_ids bytea[], c_columns int[], c_operations bigint[], c_entries bytea[],
    r_changes int[], r_edges bytea[], r_entries bytea[],
    dc_changes int[], dc_ids bytea[], dc_erased boolean[],
    dr_changes int[], dr_edges bytea[],
    i_tenants text[], i_keys bytea[], i_macs bytea[], i_answers bytea[],
    p_audit jsonb
) returns bytea
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    head slot_head;
    chained bytea := p_digest;
    before cortex[] := '{}';
    now_has cortex;
    last_seq bigint := p_seq + cardinality(p_entries);
    rows bigint;
begin
    perform from slot_owner where slot = p_slot and node = p_node and token = p_token for share;
    if not found then
        raise exception 'node % does not own slot % by token %', p_node, p_slot, p_token using errcode = 'CX001';
    end if;

    insert into slot_head values (p_slot, 0, 0, '\x') on conflict do nothing;
    select * into head from slot_head where slot = p_slot for update;
    if head.seq <> p_seq or head.digest <> p_digest then
        raise exception 'the head of slot % is %, not %', p_slot, head.seq, p_seq using errcode = 'CX002';
    end if;

    -- Whoever makes another version the active one has this lock alone: it waits for the appends in flight, so that
    -- none is done under a version after that.
    perform pg_advisory_xact_lock_shared(hashtext('keys'), hashtext(tenant))
        from (select distinct used.tenant from jsonb_to_recordset(p_versions) as used (tenant text) order by 1) as of;
    perform from jsonb_to_recordset(p_versions) as used (tenant text, version int)
        left join data_key using (tenant, version) left join tenant on tenant.name = used.tenant
        where data_key.state is distinct from 'ACTIVE' or tenant.state in ('leaving', 'gone');
    if found then
        raise exception 'a key version is not the active one' using errcode = 'CX003';
    end if;

    insert into idempotency (tenant, key, body_mac, answer)
        select * from unnest(i_tenants, i_keys, i_macs, i_answers);

    for i in 1 .. cardinality(p_entries) loop
        chained := sha256(chained || p_entries[i]);
        insert into change (slot, seq, token, tenant, cortex, entry, digest)
            values (p_slot, p_seq + i, p_token, p_tenants[i], p_cortices[i], p_entries[i], chained);
        insert into cortex (slot, tenant, name, operations) values (p_slot, p_tenants[i], p_cortices[i], 0)
            on conflict do nothing;
        select * into now_has from cortex where tenant = p_tenants[i] and name = p_cortices[i];
        before := before || now_has;
        update cortex set operations = p_operations[i], columns = p_columns[i]
            where tenant = p_tenants[i] and name = p_cortices[i];
    end loop;

    if cardinality(dc_ids) > 0 then
        delete from concept using unnest(dc_changes, dc_ids) as gone (change, id)
            where concept.slot = p_slot and concept.tenant = p_tenants[gone.change] and concept.id = gone.id;
        delete from relationship using unnest(dc_changes, dc_ids) as gone (change, id)
            where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
              and relationship.source = gone.id;
        delete from relationship using unnest(dc_changes, dc_ids) as gone (change, id)
            where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
              and relationship.target = gone.id;
    end if;
    insert into tombstone (slot, tenant, cortex, id, operation)
        select p_slot, p_tenants[change], p_cortices[change], id, p_operations[change]
        from unnest(dc_changes, dc_ids, dc_erased) as gone (change, id, erased) where erased
        on conflict (slot, tenant, id) do update set operation = excluded.operation, at = excluded.at;
    if cardinality(dr_edges) > 0 then
        delete from relationship using unnest(dr_changes, dr_edges) as gone (change, edge)
            where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
              and relationship.source = substr(gone.edge, 1, 16) and relationship.type = substr(gone.edge, 17, 16)
              and relationship.target = substr(gone.edge, 33, 16);
    end if;

    insert into concept (slot, tenant, cortex, id, col, operation, seq, key_version, entry)
        select p_slot, p_tenants[change], p_cortices[change], id, col, operation, last_seq,
               key_version_of(entry), entry
        from unnest(c_changes, c_ids, c_columns, c_operations, c_entries)
            as put (change, id, col, operation, entry)
        on conflict (slot, tenant, id) do update set
            col = excluded.col, operation = excluded.operation, seq = excluded.seq,
            key_version = excluded.key_version, entry = excluded.entry;
    get diagnostics rows = row_count;
    if rows <> cardinality(c_ids) then
        raise exception 'only % of % concepts went in', rows, cardinality(c_ids);
    end if;

    insert into relationship (slot, tenant, cortex, source, type, target, seq, key_version, entry)
        select p_slot, p_tenants[change], p_cortices[change], substr(edge, 1, 16), substr(edge, 17, 16),
               substr(edge, 33, 16), last_seq, key_version_of(entry), entry
        from unnest(r_changes, r_edges, r_entries) as put (change, edge, entry)
        on conflict (slot, tenant, source, type, target) do update set
            seq = excluded.seq, key_version = excluded.key_version, entry = excluded.entry;
    get diagnostics rows = row_count;
    if rows <> cardinality(r_edges) then
        raise exception 'only % of % relationships went in', rows, cardinality(r_edges);
    end if;

    -- Tenants come in ascending order, so that no two appends wait for each other's quotas.
    for i in 1 .. cardinality(p_entries) loop
        select * into now_has from cortex where tenant = p_tenants[i] and name = p_cortices[i];
        if now_has.concepts > before[i].concepts or now_has.columns > before[i].columns
            or now_has.bytes > before[i].bytes then
            perform hold_quota(p_tenants[i], now_has.concepts > before[i].concepts,
                now_has.columns > before[i].columns, now_has.bytes > before[i].bytes);
        end if;
    end loop;

    update slot_head set seq = last_seq, token = p_token, digest = chained
        where slot = p_slot;
    perform audit_append(p_audit);
    return chained;
end
$$;
