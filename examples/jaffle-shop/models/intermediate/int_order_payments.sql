select
  order_id,
  sum(amount) as amount_paid,
  sum(case when method = 'gift_card' then amount else 0 end) as gift_card_amount
from {{ ref('stg_payments') }}
group by order_id
