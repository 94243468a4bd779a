-- The schema of a deployment's database. Run by Patroni once, as the superuser, in the new database;
-- every statement may be repeated. The role `cortex` owns nothing.

create table if not exists node (
    name text primary key,
    region text not null,
    address text not null,
    state text not null,
    heartbeat timestamptz not null,
    timeline int not null
);

create table if not exists slot_owner (
    slot smallint primary key,
    node text,
    token bigint not null default 0
);
insert into slot_owner (slot) select generate_series(0, 1023) on conflict do nothing;

-- The end of each slot's log. It outlives the log's partitions, and followers poll it.
create table if not exists slot_head (
    slot smallint primary key,
    seq bigint not null,
    token bigint not null,
    digest bytea not null
) with (fillfactor = 40);

create table if not exists change (
    slot smallint not null,
    seq bigint not null,
    token bigint not null,
    at timestamptz not null default clock_timestamp(),
    tenant text not null,
    cortex text not null,
    entry bytea not null,
    digest bytea not null,
    primary key (slot, seq, at)
) partition by range (at);
create table if not exists change_default partition of change default;

create table if not exists cortex (
    slot smallint not null,
    tenant text not null,
    name text not null,
    operations bigint not null,
    primary key (tenant, name)
) with (fillfactor = 40);
create index if not exists cortex_slot on cortex (slot);

create table if not exists concept (
    slot smallint not null,
    tenant text not null,
    cortex text not null,
    id bytea not null,
    col int not null,
    operation bigint not null,
    seq bigint not null,
    key_version int not null,
    entry bytea not null,
    primary key (slot, tenant, id)
);

create table if not exists relationship (
    slot smallint not null,
    tenant text not null,
    cortex text not null,
    source bytea not null,
    type bytea not null,
    target bytea not null,
    seq bigint not null,
    key_version int not null,
    entry bytea not null,
    primary key (slot, tenant, source, type, target)
);
create index if not exists relationship_target on relationship (slot, tenant, target);

create table if not exists idempotency (
    tenant text not null,
    key bytea not null,
    body_mac bytea not null,
    answer bytea not null,
    at timestamptz not null default clock_timestamp(),
    primary key (tenant, key)
);
create index if not exists idempotency_at on idempotency (at);

-- Grows with every change to the tables below, so that nodes notice by one row.
create table if not exists directory (single boolean primary key default true check (single), version bigint not null);
insert into directory (version) values (1) on conflict do nothing;

create table if not exists tenant (
    name text primary key,
    tier text not null,
    state text not null default 'active',
    epoch int not null default 1,
    keyring_generation int not null,
    kek_version int not null,
    index_key bytea not null,
    created_at timestamptz not null default clock_timestamp()
);

create table if not exists api_key (
    tenant text not null references tenant,
    id text not null,
    hash bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant, id)
);

create table if not exists data_key (
    tenant text not null references tenant,
    version int not null,
    state text not null check (state in ('PENDING', 'ACTIVE', 'DECRYPT_ONLY', 'RETIRING', 'DESTROYED')),
    kek_version int not null,
    wrapped bytea not null,
    check_value bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    activated_at timestamptz,
    superseded_at timestamptz,
    primary key (tenant, version)
);
create unique index if not exists data_key_active on data_key (tenant) where state = 'ACTIVE';
create unique index if not exists data_key_pending on data_key (tenant) where state = 'PENDING';

create table if not exists key_proof (
    tenant text not null,
    version int not null,
    region text not null,
    at timestamptz not null default clock_timestamp(),
    primary key (tenant, version, region),
    foreign key (tenant, version) references data_key
);

-- Sessions that ended before their tokens did.
create table if not exists denied (
    session text primary key,
    until timestamptz not null
);

create table if not exists audit (
    sequence bigint generated always as identity,
    id uuid not null unique,
    at timestamptz not null,
    tenant text,
    actor text not null,
    session text,
    address text not null,
    agent text not null,
    action text not null,
    resource text not null,
    result text not null,
    reason text,
    request_id text not null,
    primary key (sequence)
);
create index if not exists audit_tenant on audit (tenant, sequence);

create or replace function audit_append(events jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into audit
        (id, at, tenant, actor, session, address, agent, action, resource, result, reason, request_id)
    select id, at, tenant, actor, session, address, agent, action, resource, result, reason, request_id
    from jsonb_to_recordset(events) as event (
        id uuid, at timestamptz, tenant text, actor text, session text, address text, agent text,
        action text, resource text, result text, reason text, request_id text)
    on conflict (id) do nothing -- a batch whose answer was lost is sent again
$$;

-- The version of the data key that a sealed record names: bytes 3 to 6.
create or replace function key_version_of(sealed bytea) returns int
language sql immutable strict parallel safe as $$
    select ('x' || encode(substr(sealed, 3, 4), 'hex'))::bit(32)::int
$$;

-- The only way anything enters a slot's log: one call, alone in its transaction. It takes the owner's
-- row FOR SHARE, so that whoever raises the token waits for it; an insert that merely found no owner
-- would insert nothing and succeed, hence the explicit raise. SQLSTATEs: CX001 not the owner, CX002 the
-- head moved, CX003 key version not active; unique_violation on idempotency means: done before.
-- Rows name the change they belong to by its number in p_entries (from 1); an edge is source, type and
-- target, 16 bytes each, in one.
create or replace function append(
    p_slot smallint, p_node text, p_token bigint, p_seq bigint, p_digest bytea,
    p_tenants text[], p_cortices text[], p_operations bigint[], p_entries bytea[], p_versions jsonb,
    c_changes int[], c_ids bytea[], c_columns int[], c_operations bigint[], c_entries bytea[],
    r_changes int[], r_edges bytea[], r_entries bytea[],
    dc_changes int[], dc_ids bytea[],
    dr_changes int[], dr_edges bytea[],
    i_tenants text[], i_keys bytea[], i_macs bytea[], i_answers bytea[],
    p_audit jsonb
) returns bytea
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    head slot_head;
    chained bytea := p_digest;
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

    perform from jsonb_to_recordset(p_versions) as used (tenant text, version int)
        left join data_key using (tenant, version)
        where data_key.state is distinct from 'ACTIVE';
    if found then
        raise exception 'a key version is not the active one' using errcode = 'CX003';
    end if;

    insert into idempotency (tenant, key, body_mac, answer)
        select * from unnest(i_tenants, i_keys, i_macs, i_answers);

    for i in 1 .. cardinality(p_entries) loop
        chained := sha256(chained || p_entries[i]);
        insert into change (slot, seq, token, tenant, cortex, entry, digest)
            values (p_slot, p_seq + i, p_token, p_tenants[i], p_cortices[i], p_entries[i], chained);
        insert into cortex (slot, tenant, name, operations)
            values (p_slot, p_tenants[i], p_cortices[i], p_operations[i])
            on conflict (tenant, name) do update set operations = excluded.operations;
    end loop;

    delete from concept using unnest(dc_changes, dc_ids) as gone (change, id)
        where concept.slot = p_slot and concept.tenant = p_tenants[gone.change] and concept.id = gone.id;
    delete from relationship using unnest(dc_changes, dc_ids) as gone (change, id)
        where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
          and relationship.source = gone.id;
    delete from relationship using unnest(dc_changes, dc_ids) as gone (change, id)
        where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
          and relationship.target = gone.id;
    delete from relationship using unnest(dr_changes, dr_edges) as gone (change, edge)
        where relationship.slot = p_slot and relationship.tenant = p_tenants[gone.change]
          and relationship.source = substr(gone.edge, 1, 16) and relationship.type = substr(gone.edge, 17, 16)
          and relationship.target = substr(gone.edge, 33, 16);

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

    update slot_head set seq = last_seq, token = p_token, digest = chained
        where slot = p_slot;
    perform audit_append(p_audit);
    return chained;
end
$$;

-- Six-hour partitions of the log: makes those of the next twelve hours and drops what ended a day ago.
create or replace function keep_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    span constant interval := '6 hours';
    start timestamptz := date_bin(span, clock_timestamp(), timestamptz 'epoch');
    name text;
begin
    -- Appends wait while this waits for its lock: so it gives up soon, and comes again later.
    set local lock_timeout = '500ms';
    perform pg_advisory_xact_lock(hashtext('keep_partitions'));
    for i in 1 .. 2 loop
        name := 'change_' || to_char((start + i * span) at time zone 'UTC', 'YYYYMMDDHH24');
        execute format('create table if not exists %I partition of change for values from (%L) to (%L)',
            name, start + i * span, start + (i + 1) * span);
    end loop;
    for name in
        select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = 'change'::regclass and relname ~ '^change_\d{10}$'
          and to_timestamp(substr(relname, 8) || ' +00', 'YYYYMMDDHH24 TZH') + span
              < clock_timestamp() - interval '24 hours'
    loop
        execute format('drop table %I', name);
    end loop;
end
$$;

-- Removes some of what is kept for a day alone, and returns how much that was.
create or replace function forget_expired() returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day_ago constant timestamptz := clock_timestamp() - interval '24 hours';
    removed bigint;
    total bigint := 0;
begin
    delete from change_default where ctid in (select ctid from change_default where at < day_ago limit 2000);
    get diagnostics total = row_count;
    delete from idempotency where ctid in (select ctid from idempotency where at < day_ago limit 2000);
    get diagnostics removed = row_count;
    total := total + removed;
    delete from denied where ctid in (select ctid from denied where until < clock_timestamp() limit 2000);
    get diagnostics removed = row_count;
    return total + removed;
end
$$;

revoke all on all tables in schema public from public;
revoke all on all functions in schema public from public;
grant usage on schema public to cortex;
grant select on all tables in schema public to cortex;
grant insert, update on node, slot_owner, directory, tenant, api_key, data_key, key_proof, denied to cortex;
grant execute on function append, audit_append, keep_partitions, forget_expired to cortex;
