select
  lines.order_line_id,
  lines.order_id,
  lines.product_id,
  products.product_kind,
  lines.quantity,
  lines.quantity * products.price as line_total
from {{ ref('stg_order_lines') }} as lines
join {{ ref('stg_products') }} as products on products.product_id = lines.product_id
