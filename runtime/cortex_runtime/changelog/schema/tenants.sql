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

-- What a tenant may have and ask. Its row is locked by whatever makes a cortex larger (see append).
create table if not exists tenant_quota (
    tenant text primary key references tenant,
    concepts bigint not null check (concepts >= 0),
    columns bigint not null check (columns >= 0),
    storage bigint not null check (storage >= 0),
    requests int not null check (requests > 0)
);

-- `once`: good for one login.
create table if not exists api_key (
    tenant text not null references tenant,
    id text not null,
    hash bytea not null,
    role text not null,
    once boolean not null default false,
    used_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant, id)
);

-- Where a tenant's people log in: by OpenID Connect. `roles` maps values of a claim to roles.
create table if not exists identity_provider (
    tenant text primary key references tenant,
    issuer text not null,
    client_id text not null,
    role_claim text not null,
    roles json not null, -- not jsonb: their order counts
    ca text not null
);

-- ID tokens that were shown, for as long as they are good: none is taken twice.
create table if not exists shown_once (
    digest bytea primary key,
    until timestamptz not null
);

-- Sessions that ended before their tokens did.
create table if not exists denied (
    session text primary key,
    until timestamptz not null
);

-- Raises (SQLSTATE CX004) when a tenant has more than its quota of what has grown. Locks the quota's row: of two appends to
-- different cortices that grow at the same time, the second counts what the first has done.
create or replace function hold_quota(p_tenant text, p_concepts boolean, p_columns boolean, p_storage boolean) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    quota tenant_quota;
    has record;
    reached text;
begin
    select * into strict quota from tenant_quota where tenant = p_tenant for update;
    select sum(concepts) as concepts, sum(columns) as columns, sum(bytes) as storage into has
        from cortex where tenant = p_tenant;
    reached := case
        when p_concepts and has.concepts > quota.concepts then quota.concepts || ' concepts'
        when p_columns and has.columns > quota.columns then quota.columns || ' columns'
        when p_storage and has.storage > quota.storage then quota.storage || ' bytes'
    end;
    if reached is not null then
        raise exception '%', reached using errcode = 'CX004';
    end if;
end
$$;
