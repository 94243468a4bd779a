-- The audit log: segments of events, and for each tenant a Merkle tree of them (RFC 6962).

drop table if exists audit;

-- A segment comes without a place in the tree, and without a lock; a sequencer gives it one, once. `content`
-- is null when it has passed its retention: the hash stays, and so the tree. What is of no tenant has the
-- tenant ''.
create table if not exists audit_segment (
    id uuid primary key,
    tenant text not null,
    node text not null,
    at timestamptz not null default clock_timestamp(),
    first_time timestamptz not null,
    last_time timestamptz not null,
    events int not null check (events > 0),
    leaf bigint,
    first_event bigint,
    hash bytea not null,
    content bytea
);
alter table audit_segment alter column content set storage external; -- it is compressed already
create unique index if not exists audit_segment_leaf on audit_segment (tenant, leaf) where leaf is not null;
create index if not exists audit_segment_waiting on audit_segment (tenant, first_time) where leaf is null;
create index if not exists audit_segment_time on audit_segment (tenant, last_time, id);
create index if not exists audit_segment_any_time on audit_segment (last_time, id);

create or replace function audit_append(events jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into audit_segment (id, tenant, node, first_time, last_time, events, hash, content)
    select id, tenant, node, to_timestamp(first / 1000.0), to_timestamp(last / 1000.0), events,
           sha256('\x00'::bytea || decode(content, 'base64')), decode(content, 'base64')
    from jsonb_to_recordset(events) as segment (
        id uuid, tenant text, node text, first bigint, last bigint, events int, content text)
    on conflict (id) do nothing -- a batch whose answer was lost is sent again
$$;

-- A tenant's tree: its size, and the hashes of the perfect subtrees at its right edge.
create table if not exists audit_tree (
    tenant text primary key,
    size bigint not null,
    events bigint not null,
    frontier bytea not null
) with (fillfactor = 40);

-- Hashes of perfect subtrees of 256 ^ level leaves: with them a proof reads few hashes of a large tree.
create table if not exists audit_subtree (
    tenant text not null,
    level smallint not null,
    number bigint not null,
    hash bytea not null,
    primary key (tenant, level, number)
);

create table if not exists audit_checkpoint (
    tenant text not null,
    size bigint not null,
    at timestamptz not null default clock_timestamp(),
    note text not null,
    primary key (tenant, size)
);
create index if not exists audit_checkpoint_at on audit_checkpoint (at);

-- Gives segments the next places in their tenant's tree, all or none; tells whether it did. It does not when
-- the tree is not of the size that the caller has reckoned with: another sequencer was there first.
create or replace function audit_sequence(
    p_tenant text, p_size bigint, p_ids uuid[], p_first_events bigint[], p_events bigint, p_frontier bytea,
    s_levels smallint[], s_numbers bigint[], s_hashes bytea[], p_note text
) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    rows bigint;
begin
    insert into audit_tree values (p_tenant, 0, 0, '') on conflict do nothing;
    update audit_tree set size = p_size + cardinality(p_ids), events = p_events, frontier = p_frontier
        where tenant = p_tenant and size = p_size;
    if not found then
        return false;
    end if;

    update audit_segment set leaf = p_size + place - 1, first_event = given.first_event
        from unnest(p_ids, p_first_events) with ordinality as given (id, first_event, place)
        where audit_segment.id = given.id and tenant = p_tenant and leaf is null;
    get diagnostics rows = row_count;
    if rows <> cardinality(p_ids) then
        raise exception 'only % of % segments got their place', rows, cardinality(p_ids);
    end if;

    insert into audit_subtree (tenant, level, number, hash)
        select p_tenant, * from unnest(s_levels, s_numbers, s_hashes);
    insert into audit_checkpoint (tenant, size, note) values (p_tenant, p_size + cardinality(p_ids), p_note);
    return true;
end
$$;
