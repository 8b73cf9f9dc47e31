select
  month,
  revenue,
  revenue - lag(revenue) over (order by month) as growth
from {{ ref('revenue_by_month') }}
