{{ config(pre_hook='{{ mark_try() }}') }}

with totals as (
  select
    order_id,
    sum(line_total) as order_total,
    sum(quantity) as pieces
  from {{ ref('int_order_lines_priced') }}
  group by order_id
)

select
  orders.order_id,
  orders.customer_id,
  orders.ordered_on,
  orders.status,
  totals.pieces,
  totals.order_total,
  coalesce(payments.amount_paid, 0) as amount_paid,
  coalesce(payments.gift_card_amount, 0) as gift_card_amount
from {{ ref('stg_orders') }} as orders
join totals on totals.order_id = orders.order_id
left join {{ ref('int_order_payments') }} as payments on payments.order_id = orders.order_id
where {{ survives_try() }}
