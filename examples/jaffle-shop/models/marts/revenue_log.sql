{#
  What the books said about each day, as known when this was built. Every build appends its view of all days and
  nothing is ever replaced, so a node that is built twice in one run has its rows there twice.
#}
{{ config(materialized='incremental', incremental_strategy='append') }}

select
  ordered_on,
  count(*) as order_count,
  sum(amount_paid) as revenue,
  '{{ run_id() }}' as run_id,
  cast(current_timestamp as timestamp) as logged_at
from {{ ref('orders') }}
group by ordered_on
