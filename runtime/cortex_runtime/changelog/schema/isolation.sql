-- Row-level security on what requests read and write: a transaction sees the rows of the tenant that it has said
-- it is about (`set local cortexkg.tenant`), all of them when that is '*', and none when it has said nothing. So
-- a filter that is forgotten shows nothing of others. Concepts, relationships and changes are written and
-- followed for all tenants together: their isolation is that each opens with its tenant's key alone.

create or replace function is_about(p_tenant text) returns boolean
language sql stable as $$
    select current_setting('cortexkg.tenant', true) in (p_tenant, '*')
$$;

do $$
declare
    part record;
begin
    for part in select * from (values ('tenant', 'name'), ('tenant_quota', 'tenant'), ('api_key', 'tenant'),
        ('identity_provider', 'tenant'), ('shown_once', 'tenant'), ('denied', 'tenant'), ('data_key', 'tenant'),
        ('key_proof', 'tenant')) as parts (name, owner)
    loop
        execute format('alter table %I enable row level security', part.name);
        execute format('alter table %I force row level security', part.name);
        execute format('drop policy if exists own on %I', part.name);
        execute format('create policy own on %I using (is_about(%I)) with check (is_about(%I))', part.name,
            part.owner, part.owner);
    end loop;
end
$$;
