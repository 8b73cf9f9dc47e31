{% snapshot customer_history %}
{{ config(target_schema=target.schema, unique_key='customer_id', strategy='check', check_cols=['email', 'city']) }}
select
  customer_id,
  first_name,
  last_name,
  email,
  city
from {{ ref('stg_customers') }}
{% endsnapshot %}
