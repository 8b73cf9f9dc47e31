with history as (
  select
    customer_id,
    count(*) as order_count,
    min(ordered_on) as first_order_on,
    max(ordered_on) as last_order_on,
    sum(amount_paid) as lifetime_value
  from {{ ref('orders') }}
  where status <> 'cancelled'
  group by customer_id
)

select
  customers.customer_id,
  customers.first_name,
  customers.last_name,
  {% if broken('model') %}cast(customers.city as integer){% else %}customers.city{% endif %} as city,
  customers.signed_up_on,
  coalesce(history.order_count, 0) as order_count,
  history.first_order_on,
  history.last_order_on,
  coalesce(history.lifetime_value, 0) as lifetime_value
from {{ ref('stg_customers') }} as customers
left join history on history.customer_id = customers.customer_id
