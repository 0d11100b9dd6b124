import torch

# 创建张量
a = torch.tensor([[1, 2], [3, 4]], dtype=torch.float32)
b = torch.tensor([[5, 6], [7, 8]], dtype=torch.float32)

# 定义模型
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 2))

    def forward(self, x):
        return torch.matmul(x, self.weight)

model = Model()

# 定义损失函数
criterion = torch.nn.MSELoss()

# 定义优化器
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

# 训练模型
for epoch in range(100):
    optimizer.zero_grad()
    output = model(a)
    loss = criterion(output, b)
    loss.backward()
    optimizer.step()

print('Loss: %.6f' % loss.item())
print(model(a).detach().numpy().round(2))
