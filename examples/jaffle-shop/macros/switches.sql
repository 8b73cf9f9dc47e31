{#
  The switches of README.md. Each macro renders to nothing while its switch is off, and dbt runs no empty hook.
  The environment is read under `execute` alone: dbt would otherwise parse the project anew for each run id.
#}

{# Whether `break` names this kind of failure. A word nobody knows is refused, or a typo would look like a healthy build. #}
{% macro broken(kind) %}
  {% set word = var('break') or '' %}
  {% if word not in ['', 'flaky', 'model', 'test'] %}
    {{ exceptions.raise_compiler_error("The var break is '" ~ word ~ "'; use flaky, model or test, or leave it out.") }}
  {% endif %}
  {{ return(word == kind) }}
{% endmacro %}


{# The run that this dbt process is part of; the same in a run's first build and in its retries. #}
{% macro run_id() %}
  {{ return((env_var('STEPWATCH_RUN_ID', '') if execute else '') or 'no-run') }}
{% endmacro %}


{# Where the switches keep their rows, beside the shop's own tables. #}
{% macro switch_table(name) %}
  {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=name)) }}
{% endmacro %}


{# `pace`: waits this many seconds in the warehouse. #}
{% macro keep_pace() %}
  {%- if var('pace') | float > 0 -%}
    select pg_sleep({{ var('pace') | float }})
  {%- endif -%}
{% endmacro %}


{#
  `break: flaky`, first half: one row for each try. It commits the transaction that dbt has begun for the model and
  begins another, since the failing try must not take its own row back. (A hook with `transaction: false` would do, but
  dbt commits before such a hook, and dbt-duckdb 1.8 fails there since no transaction is open.)
#}
{% macro mark_try() %}
  {%- if broken('flaky') -%}
    create table if not exists {{ switch_table('build_tries') }} (node varchar(300), run_id varchar(300), tried_at timestamp);
    insert into {{ switch_table('build_tries') }}
      values ('{{ model.unique_id }}', '{{ run_id() }}', cast(current_timestamp as timestamp));
    commit;
    begin;
  {%- endif -%}
{% endmacro %}


{#
  `break: flaky`, second half, a condition for the model: true from the run's second try on; on the first it fails on
  a text that is no number. The text holds the count, so that no database works it out before there is a mark.
#}
{% macro survives_try() %}
  {%- if broken('flaky') -%}
    (
      select case when count(*) > 1 then 1 else cast('the till is offline, try ' || count(*) as integer) end
      from {{ switch_table('build_tries') }}
      where node = '{{ model.unique_id }}' and run_id = '{{ run_id() }}'
    ) = 1
  {%- else -%}
    1 = 1
  {%- endif -%}
{% endmacro %}


{# `audit`: one row for each build of a node, in the node's own transaction, so that a failed build leaves none. #}
{% macro record_build() %}
  {%- if var('audit') -%}
    insert into {{ switch_table('build_audit') }} (node, name, run_id, invocation_id, built_at)
      values ('{{ model.unique_id }}', '{{ model.name }}', '{{ run_id() }}', '{{ invocation_id }}', cast(current_timestamp as timestamp))
  {%- endif -%}
{% endmacro %}


{#
  dbt calls this once, before any node, where the schema is missing. The audit table is made here and not by the hook:
  several nodes start at the same moment, and neither database lets two connections create one table at once.
#}
{% macro create_schema(relation) %}
  {{ adapter.dispatch('create_schema', 'dbt')(relation) }}
  {% call statement('create_build_audit') %}
    create table if not exists {{ relation.without_identifier() }}.build_audit (
      node varchar(300), name varchar(300), run_id varchar(300), invocation_id varchar(300), built_at timestamp
    )
  {% endcall %}
{% endmacro %}
