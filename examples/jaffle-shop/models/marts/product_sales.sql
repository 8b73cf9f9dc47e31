select
  products.product_id,
  products.product_name,
  products.product_kind,
  coalesce(sum(lines.quantity), 0) as pieces_sold,
  coalesce(sum(lines.line_total), 0) as revenue
from {{ ref('stg_products') }} as products
left join {{ ref('int_order_lines_priced') }} as lines on lines.product_id = products.product_id
group by products.product_id, products.product_name, products.product_kind
