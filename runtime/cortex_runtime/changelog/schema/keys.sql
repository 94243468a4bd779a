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
    destroyed_at timestamptz,
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

-- How many rows of concepts and relationships each version seals: kept by count_usage, so that nobody counts.
create table if not exists key_rows (
    tenant text not null,
    cortex text not null,
    version int not null,
    part text not null,
    rows bigint not null,
    primary key (tenant, cortex, version, part)
) with (fillfactor = 40);

-- How many snapshots of each version a node has, in its directory and, if it is the first holder, in the object
-- store of its region: as it last said.
create table if not exists key_use (
    node text not null,
    tenant text not null,
    version int not null,
    snapshots int not null,
    primary key (node, tenant, version)
);
create table if not exists key_use_told (node text primary key, at timestamptz not null);

-- How often each version has sealed, as the nodes said: about, since one that is killed loses what it had not said yet.
create table if not exists key_seals (
    tenant text not null,
    version int not null,
    seals bigint not null,
    primary key (tenant, version)
);

-- Backups that are kept, and which versions of which tenants' keys their rows need, wrapped by which version of the
-- key-encryption key. Whoever makes one says so.
create table if not exists backup (
    name text primary key,
    made_at timestamptz not null default clock_timestamp(),
    until timestamptz not null
);
create table if not exists backup_key (
    backup text not null references backup on delete cascade,
    tenant text not null,
    version int not null,
    kek_version int not null,
    primary key (backup, tenant, version)
);

-- Notes a backup that is about to be made, with all versions that anything is sealed by now.
create or replace function register_backup(p_name text, p_until timestamptz) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into backup (name, until) values (p_name, p_until);
    insert into backup_key select p_name, tenant, version, kek_version from data_key
        where state in ('ACTIVE', 'DECRYPT_ONLY', 'RETIRING');
$$;

-- Rewrites rows under the active version, as the slot's owner. A row that was changed meanwhile is under it
-- already, and is left alone. Returns how many were rewritten. SQLSTATEs as append's.
create or replace function reencrypt(
    p_slot smallint, p_node text, p_token bigint, p_tenant text, p_version int,
    c_ids bytea[], c_operations bigint[], c_entries bytea[], r_edges bytea[], r_before bytea[], r_entries bytea[]
) returns bigint
language plpgsql security definer set search_path = public, pg_temp
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    edges bigint;
    total bigint;
begin
    perform from slot_owner where slot = p_slot and node = p_node and token = p_token for share;
    if not found then
        raise exception 'node % does not own slot % by token %', p_node, p_slot, p_token using errcode = 'CX001';
    end if;
    perform from data_key where tenant = p_tenant and version = p_version and state = 'ACTIVE' for share;
    if not found then
        raise exception 'version % is not the active one', p_version using errcode = 'CX003';
    end if;
    perform from unnest(c_entries || r_entries) as entry where key_version_of(entry) <> p_version;
    if found then
        raise exception 'an entry is under another version' using errcode = 'CX003';
    end if;
    -- Each row is looked up by its key, and then changed by its place: joined with the arrays the other way round, as the
    -- planner may think best, this takes a second.
    update concept set key_version = p_version, entry = found.entry
        from (select place, anew.entry from unnest(c_ids, c_operations, c_entries) as anew (id, operation, entry)
              cross join lateral (select ctid as place from concept
                  where slot = p_slot and tenant = p_tenant and concept.id = anew.id
                    and concept.operation = anew.operation and key_version <> p_version limit 1) as is_there) as found
        where concept.ctid = found.place;
    get diagnostics total = row_count;
    update relationship set key_version = p_version, entry = found.entry
        from (select place, anew.entry from unnest(r_edges, r_before, r_entries) as anew (edge, before, entry)
              cross join lateral (select ctid as place from relationship
                  where slot = p_slot and tenant = p_tenant and source = substr(edge, 1, 16)
                    and type = substr(edge, 17, 16) and target = substr(edge, 33, 16)
                    and relationship.entry = anew.before limit 1) as is_there) as found
        where relationship.ctid = found.place;
    get diagnostics edges = row_count;
    return total + edges;
end
$$;

-- What still needs a version of a tenant's key: rows by table, snapshots, backups. Changes and answers are
-- looked through, since they are gone after a day.
create or replace function key_ledger(p_tenant text) returns table (version int, part text, uses bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select version, part, sum(rows) from key_rows where tenant = p_tenant group by 1, 2 having sum(rows) > 0
    union all select key_version_of(entry), 'change', count(*) from change where tenant = p_tenant group by 1
    union all select key_version_of(answer), 'idempotency', count(*) from idempotency
        where tenant = p_tenant group by 1
    union all select version, 'snapshot', sum(snapshots) from key_use
        join node on node.name = key_use.node and heartbeat > clock_timestamp() - interval '15 s'
        where tenant = p_tenant and snapshots > 0 group by 1
    union all select version, 'backup', count(*) from backup_key join backup on backup.name = backup_key.backup
        where tenant = p_tenant and until > clock_timestamp() group by 1
$$;
