-- What the role of the nodes may do: it owns nothing.

revoke all on all tables in schema public from public;
revoke all on all functions in schema public from public;
grant usage on schema public to cortex;
grant select on all tables in schema public to cortex;
grant insert, update on node, slot_owner, directory, tenant, tenant_quota, api_key, data_key, key_proof, denied,
    identity_provider, shown_once to cortex;
grant insert, update, delete on key_use, key_use_told to cortex;
grant insert, update on key_seals to cortex;
grant delete on api_key, identity_provider to cortex;
grant execute on function append, audit_append, audit_sequence, keep_partitions, forget_expired, purge_tenant,
    residue_of, reencrypt, key_ledger, register_backup, is_about to cortex;
