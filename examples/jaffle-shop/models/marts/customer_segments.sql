select
  customer_id,
  city,
  lifetime_value,
  case
    when order_count >= 3 then 'regular'
    when order_count >= 1 then 'occasional'
    else 'new'
  end as segment
from {{ ref('customers') }}
