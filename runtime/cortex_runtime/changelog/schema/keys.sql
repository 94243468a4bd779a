-- Data keys of the tenants: versions, and the regions that have opened them.

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

-- The version of the data key that a sealed record names: bytes 3 to 6.
create or replace function key_version_of(sealed bytea) returns int
language sql immutable strict parallel safe as $$
    select ('x' || encode(substr(sealed, 3, 4), 'hex'))::bit(32)::int
$$;
