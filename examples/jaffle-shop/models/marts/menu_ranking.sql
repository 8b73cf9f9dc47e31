select
  product_id,
  product_name,
  product_kind,
  rank() over (partition by product_kind order by pieces_sold desc, product_id) as place
from {{ ref('product_sales') }}
