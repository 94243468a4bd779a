-- Six-hour partitions of the log: makes those of the next twelve hours and drops what ended a day ago.
create or replace function keep_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    span constant interval := '6 hours';
    start timestamptz := date_bin(span, clock_timestamp(), timestamptz 'epoch');
    name text;
begin
    -- Appends wait while this waits for its lock: so it gives up soon, and comes again later.
    set local lock_timeout = '500ms';
    perform pg_advisory_xact_lock(hashtext('keep_partitions'));
    for i in 1 .. 2 loop
        name := 'change_' || to_char((start + i * span) at time zone 'UTC', 'YYYYMMDDHH24');
        execute format('create table if not exists %I partition of change for values from (%L) to (%L)',
            name, start + i * span, start + (i + 1) * span);
    end loop;
    for name in
        select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = 'change'::regclass and relname ~ '^change_\d{10}$'
          and to_timestamp(substr(relname, 8) || ' +00', 'YYYYMMDDHH24 TZH') + span
              < clock_timestamp() - interval '24 hours'
    loop
        execute format('drop table %I', name);
    end loop;
end
$$;

-- How long what is kept; only the owner of the schema changes it.
create table if not exists retention (what text primary key, kept interval not null);
insert into retention values ('audit', '7 years') on conflict do nothing;

-- Removes some of what is kept for a day alone, and of the audit log's content that has passed its retention
-- (the hashes stay, and so the trees), and returns how much that was.
create or replace function forget_expired() returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day_ago constant timestamptz := clock_timestamp() - interval '24 hours';
    removed bigint;
    total bigint := 0;
begin
    delete from change_default where ctid in (select ctid from change_default where at < day_ago limit 2000);
    get diagnostics total = row_count;
    delete from idempotency where ctid in (select ctid from idempotency where at < day_ago limit 2000);
    get diagnostics removed = row_count;
    total := total + removed;
    delete from denied where ctid in (select ctid from denied where until < clock_timestamp() limit 2000);
    get diagnostics removed = row_count;
    total := total + removed;
    delete from shown_once where ctid in (select ctid from shown_once where until < clock_timestamp() limit 2000);
    get diagnostics removed = row_count;
    total := total + removed;
    delete from audit_checkpoint where ctid in (
        select audit_checkpoint.ctid from audit_checkpoint join audit_tree using (tenant)
        where at < day_ago and audit_checkpoint.size < audit_tree.size limit 2000);
    get diagnostics removed = row_count;
    total := total + removed;
    update audit_segment set content = null where id in (
        select id from audit_segment
        where content is not null and leaf is not null
          and last_time < clock_timestamp() - (select kept from retention where what = 'audit')
        order by last_time, id limit 2000);
    get diagnostics removed = row_count;
    return total + removed;
end
$$;
