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

create or replace function audit_append(segments jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into audit_segment (id, tenant, node, first_time, last_time, events, hash, content)
    select id, tenant, node, to_timestamp(first / 1000.0), to_timestamp(last / 1000.0), events,
           sha256('\x00'::bytea || decode(content, 'base64')), decode(content, 'base64')
    from jsonb_to_recordset(segments) as segment (
        id uuid, tenant text, node text, first bigint, last bigint, events int, content text)
    on conflict (id) do nothing -- a batch whose answer was lost is sent again
$$;
