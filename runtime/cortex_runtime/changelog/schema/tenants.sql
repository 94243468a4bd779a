-- Tenants, their API keys, and the sessions that ended: every node has a copy of all of it.

-- Grows with every change to the tables below, so that nodes notice by one row.
create table if not exists directory (single boolean primary key default true check (single), version bigint not null);
insert into directory (version) values (1) on conflict do nothing;

create table if not exists tenant (
    name text primary key,
    tier text not null,
    state text not null default 'active' check (state in ('active', 'suspended', 'leaving', 'gone')),
    legal_hold boolean not null default false, -- its data must not be destroyed
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
    tenant text not null,
    until timestamptz not null
);

-- Sessions that ended before their tokens did.
create table if not exists denied (
    session text primary key,
    tenant text not null,
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

-- Removes some of what a tenant that leaves has, and returns how many rows that was; none are left after 0.
-- Its data keys stay: without the key that they are wrapped by they open nothing, which is then to be proven.
create or replace function purge_tenant(p_tenant text, p_limit int) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    part text;
    removed bigint;
    total bigint := 0;
begin
    perform from tenant where name = p_tenant and state in ('leaving', 'gone') for update;
    if not found then
        raise exception 'tenant % does not leave', p_tenant using errcode = 'CX005';
    end if;
    foreach part in array array['concept', 'relationship', 'change', 'idempotency', 'tombstone', 'cortex', 'api_key',
        'identity_provider'] loop
        execute format('delete from %1$I where ctid in (select ctid from %1$I where tenant = $1 limit $2) '
            'and tenant = $1', part) using p_tenant, p_limit;
        get diagnostics removed = row_count;
        total := total + removed;
    end loop;
    if total = 0 then
        update tenant set state = 'gone', index_key = '' where name = p_tenant;
    end if;
    return total;
end
$$;

-- How many rows each table has of a tenant, of those that are to have none once it has gone.
create or replace function residue_of(p_tenant text) returns table (part text, rows bigint)
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    foreach part in array array['concept', 'relationship', 'change', 'idempotency', 'tombstone', 'cortex', 'api_key',
        'identity_provider'] loop
        execute format('select count(*) from %I where tenant = $1', part) into rows using p_tenant;
        return next;
    end loop;
end
$$;
