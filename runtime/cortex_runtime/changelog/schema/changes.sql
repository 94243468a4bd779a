-- Nodes, owners, the change log and the state that it makes.

create table if not exists node (
    name text primary key,
    region text not null,
    address text not null,
    state text not null,
    heartbeat timestamptz not null,
    timeline int not null,
    usage jsonb not null default '{}' -- requests a second that it was asked, by tenant
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
    columns int not null default 0, -- those that are taken
    concepts bigint not null default 0,
    bytes bigint not null default 0, -- of the entries of its concepts and relationships
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

-- Keeps the usage of a cortex: by statement, so that whatever changes the rows is counted.
create or replace function count_usage() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    one constant int := (tg_table_name = 'concept')::int;
begin
    if tg_op <> 'DELETE' then
        update cortex set concepts = cortex.concepts + one * more.rows, bytes = cortex.bytes + more.bytes
            from (select tenant, cortex, count(*) as rows, sum(octet_length(entry)) as bytes from come group by 1, 2)
                as more
            where cortex.tenant = more.tenant and cortex.name = more.cortex;
        insert into key_rows as known (tenant, cortex, version, part, rows)
            select tenant, cortex, key_version, tg_table_name, count(*) from come group by 1, 2, 3 order by 1, 2, 3
            on conflict (tenant, cortex, version, part) do update set rows = known.rows + excluded.rows;
    end if;
    if tg_op <> 'INSERT' then
        update cortex set concepts = cortex.concepts - one * less.rows, bytes = cortex.bytes - less.bytes
            from (select tenant, cortex, count(*) as rows, sum(octet_length(entry)) as bytes from gone group by 1, 2)
                as less
            where cortex.tenant = less.tenant and cortex.name = less.cortex;
        insert into key_rows as known (tenant, cortex, version, part, rows)
            select tenant, cortex, key_version, tg_table_name, -count(*) from gone group by 1, 2, 3 order by 1, 2, 3
            on conflict (tenant, cortex, version, part) do update set rows = known.rows + excluded.rows;
    end if;
    return null;
end
$$;
create or replace trigger concept_came after insert on concept
    referencing new table as come for each statement execute function count_usage();
create or replace trigger concept_changed after update on concept
    referencing old table as gone new table as come for each statement execute function count_usage();
create or replace trigger concept_went after delete on concept
    referencing old table as gone for each statement execute function count_usage();
create or replace trigger relationship_came after insert on relationship
    referencing new table as come for each statement execute function count_usage();
create or replace trigger relationship_changed after update on relationship
    referencing old table as gone new table as come for each statement execute function count_usage();
create or replace trigger relationship_went after delete on relationship
    referencing old table as gone for each statement execute function count_usage();

-- A concept that was erased for good: without any content. What is restored from a backup is held against it.
create table if not exists tombstone (
    slot smallint not null,
    tenant text not null,
    cortex text not null,
    id bytea not null,
    operation bigint not null,
    at timestamptz not null default clock_timestamp(),
    primary key (slot, tenant, id)
);
create index if not exists tombstone_at on tombstone (at);

create table if not exists idempotency (
    tenant text not null,
    key bytea not null,
    body_mac bytea not null,
    answer bytea not null,
    at timestamptz not null default clock_timestamp(),
    primary key (tenant, key)
);
create index if not exists idempotency_at on idempotency (at);
