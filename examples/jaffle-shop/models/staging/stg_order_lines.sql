select
  id as order_line_id,
  order_id,
  product_id,
  quantity
from {{ ref('raw_order_lines') }}
