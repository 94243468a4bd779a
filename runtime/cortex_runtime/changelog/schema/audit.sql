-- The audit log.

create table if not exists audit (
    sequence bigint generated always as identity,
    id uuid not null unique,
    at timestamptz not null,
    tenant text,
    actor text not null,
    session text,
    address text not null,
    agent text not null,
    action text not null,
    resource text not null,
    result text not null,
    reason text,
    request_id text not null,
    primary key (sequence)
);
create index if not exists audit_tenant on audit (tenant, sequence);

create or replace function audit_append(events jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into audit
        (id, at, tenant, actor, session, address, agent, action, resource, result, reason, request_id)
    select id, at, tenant, actor, session, address, agent, action, resource, result, reason, request_id
    from jsonb_to_recordset(events) as event (
        id uuid, at timestamptz, tenant text, actor text, session text, address text, agent text,
        action text, resource text, result text, reason text, request_id text)
    on conflict (id) do nothing -- a batch whose answer was lost is sent again
$$;
