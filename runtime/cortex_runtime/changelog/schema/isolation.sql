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
    for part in
        select name, case when name = 'tenant' then 'name' else 'tenant' end as owner
        from unnest(array['tenant', 'tenant_quota', 'api_key', 'identity_provider', 'shown_once', 'denied',
                          'data_key', 'key_proof']) as name
        union all
        -- What is of no tenant has the tenant '', which is also what a connection says that says nothing.
        select name, 'coalesce(nullif(tenant, ''''), ''-'')'
        from unnest(array['audit_segment', 'audit_tree', 'audit_subtree', 'audit_checkpoint']) as name
    loop
        execute format('alter table %I enable row level security', part.name);
        execute format('alter table %I force row level security', part.name);
        execute format('drop policy if exists own on %I', part.name);
        execute format('create policy own on %I using (is_about(%s)) with check (is_about(%s))', part.name,
            part.owner, part.owner);
    end loop;
end
$$;
