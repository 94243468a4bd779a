-- Tenants, their API keys, and the sessions that ended: every node has a copy of all of it.

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

-- Sessions that ended before their tokens did.
create table if not exists denied (
    session text primary key,
    until timestamptz not null
);
